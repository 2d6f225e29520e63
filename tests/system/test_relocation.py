"""Does the loader run wherever in memory it was put, and does GRUB put it elsewhere when its place is taken?"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootslang import Loader, Machine
from bootslang.boot import handoff, layout
from support import handoff as guest
from support.grub import grub_image
from support.handoff import Guests
from support.placed import COMMAND_LINE, MODULE, PLACE_MAX, State, placed

pytestmark = pytest.mark.machine

PAGE = 0x1000
MIB = 1 << 20
STEP = 2 * MIB
LOADER_MAX = layout.LOADER_MEMORY
PLACES = 64
DOORS = {"multiboot2": handoff.DOOR_MULTIBOOT2, "pvh": handoff.DOOR_PVH}


def places() -> Iterator[int]:
    """Each 2 MiB for a while, by turns with odd pages; then all over the memory; then the highest there is."""
    odd = random.Random(64)
    for index in range(PLACES // 2):
        yield (index + 1) * STEP + (odd.randrange(1, STEP // PAGE) * PAGE if index % 2 else 0)
    span = (PLACE_MAX - LOADER_MAX - MODULE - 16 * MIB) // PAGE
    for index in range(PLACES // 2 - 1):
        yield MODULE + 16 * MIB + (span * index // (PLACES // 2) + odd.randrange(STEP // PAGE)) * PAGE
    yield PLACE_MAX - LOADER_MAX


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loader") / "bootslang.elf64"
    Loader().build(path)
    return path


@pytest.mark.parametrize(
    ("state", "place"),
    [
        (("multiboot2", "pvh")[index % 2], place)  # each state sees even and odd places
        for index, place in enumerate(sorted(places(), key=lambda place: (place % STEP, place)))
    ],
)
def test_it_runs_where_it_was_put(tmp_path: Path, loader: Path, guests: Guests, state: State, place: int) -> None:
    report = guest.run(placed(tmp_path, loader, guests.path("low"), place, state))
    assert report.numbers("door") == [[DOORS[state]]]
    assert report.text("command line") == COMMAND_LINE
    assert any(region.kind == handoff.MEMORY_LOADER and region.base == place for region in report.memory)


def grub_report(folder: Path, loader: Path, kernel: Path, memory: int) -> guest.BootReport:
    files = {"bootslang": loader, "kernel": kernel}
    image = grub_image(folder, "multiboot2 /bootslang", "module2 /kernel", files=files)
    return guest.run(Machine(image, memory=memory, accel="tcg"))


@pytest.mark.parametrize("memory", [64, 512])
def test_grub_moves_it_to_the_end_of_the_memory(tmp_path: Path, loader: Path, guests: Guests, memory: int) -> None:
    """The header asks for a high place, so that a kernel with fixed addresses finds its own free."""
    report = grub_report(tmp_path, loader, guests.path("low"), memory)
    assert any(region.base > (memory - 8) * MIB for region in report.memory if region.kind == handoff.MEMORY_LOADER)


def test_grub_moves_it_when_its_place_cannot_be_had(tmp_path: Path, loader: Path, guests: Guests) -> None:
    """The machine's memory ends where the loader is linked."""
    report = grub_report(tmp_path, loader, guests.path("slang"), layout.LOADER // MIB)
    assert all(region.end <= layout.LOADER for region in report.memory if region.kind == handoff.MEMORY_LOADER)

"""Do kernels of every shape start on a machine, each where it belongs, and do those that cannot say why?

They are assembled by hand and do nothing but say so; what a kernel finds is the affair of guests that look at it.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import pytest

from bootslang import Machine
from bootslang.loader import Loader
from support.own_kernels import ALL, EXECUTABLE, NOTE, READ, READ_WRITE, OwnKernel, Part
from support.small_kernels import exit_with, say

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.machine

MIB = 1 << 20
HIGH = 0xFFFF_FFFF_8000_0000
CODE = say("kernel runs\n") + exit_with(0x10)
SMALL = OwnKernel([Part(0, CODE)])
STARTED = re.compile(r"^kernel at (0x\w+), seen at (0x\w+), entry (0x\w+)\r?$", re.MULTILINE)
MAPPED = re.compile(r"^page tables at 0x\w+, direct map at (0x\w+), window at (0x\w+)\r?$", re.MULTILINE)


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Loader().build(tmp_path_factory.mktemp("loader") / "bootslang.elf64").path


class Starter:
    """Starts kernels as QEMU's module, by PVH."""

    def __init__(self, loader: Path, folder: Path) -> None:
        self.loader = loader
        self.kernel = folder / "kernel.elf"

    def machine(self, kernel: OwnKernel, options: str, *, memory: int, machine: str, cpu: str | None) -> Machine:
        self.kernel.write_bytes(kernel.file)
        return Machine(
            kernel=self.loader,
            initrd=self.kernel,
            append=f"--verbose {options}",
            accel="tcg",
            memory=memory,
            machine=machine,
            cpu=cpu,
        )

    def runs(
        self, kernel: OwnKernel, options: str = "", *, memory: int = 64, machine: str = "pc", cpu: str | None = None
    ) -> str:
        """Start a kernel that runs: what the console said."""
        started = self.machine(kernel, options, memory=memory, machine=machine, cpu=cpu)
        console = started.run(timeout=60).check().console
        assert "kernel runs" in console
        return console

    def refuses(self, kernel: OwnKernel, message: str, *, cpu: str | None = None) -> None:
        """Start a kernel that the loader stops at, saying this."""
        started = self.machine(kernel, "", memory=64, machine="pc", cpu=cpu)
        console = started.run(expect="Boot stopped", timeout=60).check().console
        assert message in console
        assert "kernel runs" not in console


@pytest.fixture
def starter(loader: Path, tmp_path: Path) -> Starter:
    return Starter(loader, tmp_path)


def seen_at(console: str) -> tuple[int, int]:
    """The kernel's physical and virtual address."""
    said = STARTED.search(console)
    assert said
    return int(said[1], 16), int(said[2], 16)


@pytest.mark.parametrize(
    ("address", "direct_map", "window"),
    [
        (0x1000, 0xFFFF_8000_0000_0000, HIGH - 2 * MIB),
        (0xFFFF_8000_0000_0000, 0xFFFF_8080_0000_0000, HIGH - 2 * MIB),
        (HIGH - 2 * MIB, 0xFFFF_8000_0000_0000, HIGH - 1026 * MIB),
        (0xFFFF_FFFF_FFFF_E000, 0xFFFF_8000_0000_0000, HIGH - 2 * MIB),
    ],
    ids=["lowest", "direct-map", "window", "highest"],
)
def test_whatever_addresses_a_kernel_takes_it_gets(
    starter: Starter, address: int, direct_map: int, window: int
) -> None:
    console = starter.runs(OwnKernel([Part(address, CODE)], EXECUTABLE))
    assert seen_at(console)[1] == address
    mapped = MAPPED.search(console)
    assert mapped
    assert (int(mapped[1], 16), int(mapped[2], 16)) == (direct_map, window)


def test_a_large_kernel_lies_as_large_pages_need_it(starter: Starter) -> None:
    console = starter.runs(OwnKernel([Part(0x5000, CODE), Part(0x6000, memory=5 * MIB, flags=READ_WRITE)]))
    physical, virtual = seen_at(console)
    assert virtual == HIGH + 0x5000
    assert physical % (2 * MIB) == 0x5000


@pytest.mark.parametrize("cpu", [None, "max"], ids=["without-1-gib-pages", "with-1-gib-pages"])
def test_a_kernel_that_fits_above_4_gib_alone_goes_there(starter: Starter, cpu: str | None) -> None:
    kernel = OwnKernel([Part(0, CODE), Part(2 * MIB, memory=600 * MIB, flags=READ_WRITE)])
    console = starter.runs(kernel, memory=2048, machine="q35,max-ram-below-4g=512M", cpu=cpu)
    assert seen_at(console)[0] > 1 << 32


@pytest.mark.parametrize("cpu", ["qemu64,-rdrand", "max"], ids=["by-the-time", "by-rdrand"])
def test_random_places_differ(starter: Starter, cpu: str) -> None:
    places = {seen_at(starter.runs(SMALL, "--randomise", cpu=cpu))[1] for _ in range(3)}
    assert len(places) > 1
    assert all(place >= HIGH and place % (2 * MIB) == 0 for place in places)


def test_code_that_can_be_written_is_refused_unless_that_is_allowed(starter: Starter) -> None:
    kernel = OwnKernel([Part(HIGH, CODE, flags=ALL)])
    starter.refuses(kernel, "the kernel's segment at 0xffffffff80000000 is writable and executable: separate code")
    console = starter.runs(kernel, "--allow-wx")
    assert "Warning: the kernel's segment at 0xffffffff80000000 is writable and executable." in console


def test_a_cpu_without_nx_is_refused(starter: Starter) -> None:
    starter.refuses(SMALL, "this CPU has no NX (execute disable)", cpu="qemu64,-nx")


def test_too_little_memory_is_told(starter: Starter) -> None:
    large = OwnKernel([Part(0, CODE), Part(0x1000, memory=100 * MIB, flags=READ_WRITE)])
    starter.refuses(large, "not enough memory for the kernel: 102404 KiB are needed between 0x100000 and ")


def test_another_version_of_the_protocol_is_refused(starter: Starter) -> None:
    note = struct.pack("<III", 10, 4, 1) + b"Bootslang\0\0\0" + struct.pack("<I", 2)
    newer = OwnKernel([Part(0, CODE), Part(0x1000, note, flags=READ)], pieces=[(NOTE, 0x1000, len(note))])
    starter.refuses(newer, "the kernel speaks version 2 of the hand-off protocol, and this loader version 1")

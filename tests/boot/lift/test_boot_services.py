"""Is memory that UEFI's boot services have used taken last, whatever the firmware's map claims?"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.context import KERNEL, RAM, BootContext, MemoryRange
from bootslang.boot.handoff import MemoryRegion
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import NOWHERE, Zone
from bootslang.boot.lift.boot_services import CODE, DATA, lowest_start
from bootslang.boot.lift.handoff import regions
from bootslang.boot.lift.memory_map import MemoryMap, normalise
from bootslang.slang import BootError, array, span, text, u8
from support.fuzzing import fuzzed, mutations

MIB: Final = 1 << 20
GIB: Final = 1 << 30
PAGE: Final = 4096
LOADER_DATA, CONVENTIONAL = 2, 7
Area = tuple[int, int, int]


def descriptor(kind: int, base: int, pages: int) -> bytes:
    return struct.pack("<IIQQQQ", kind, 0, base, 0, pages, 0xF)


def efi_map(*areas: Area, longer: int = 8) -> bytes:
    """A map of (type, base, size), its descriptors longer than they have to be, as OVMF's."""
    return b"".join(descriptor(kind, base, size // PAGE) + bytes(longer) for kind, base, size in areas)


@dataclass
class Machine:
    """16 MiB of RAM from 1 MiB on, and a firmware that has used some of it."""

    efi: bytes
    descriptor_bytes: int = 48

    def __post_init__(self) -> None:
        self.context = BootContext.zeroed()
        self.context.memory[0] = MemoryRange(base=MIB, size=16 * MIB, kind=RAM)
        self.context.memory_count = 1
        self.kept: span[u8] = span(self.efi)
        self.context.efi_map = self.kept.address
        self.context.efi_map_size = len(self.efi)
        self.context.efi_descriptor_size = self.descriptor_bytes
        self.memory = MemoryMap.zeroed()
        normalise(self.context, self.memory)

    def allocate(self, size: int, alignment: int = PAGE) -> int:
        zone = Zone(purpose=text("the test"), lowest=MIB, highest=4 * GIB, alignment=alignment)
        return allocator.allocate(self.memory, self.context, size, zone)

    def is_free(self, base: int, size: int) -> bool:
        return allocator.is_free(self.memory, self.context, base, size)


@pytest.mark.parametrize("kind", [CODE, DATA])
def test_it_is_taken_when_nothing_else_is_left(kind: int) -> None:
    machine = Machine(efi_map((CONVENTIONAL, MIB, 11 * MIB), (kind, 12 * MIB, 4 * MIB), (LOADER_DATA, 16 * MIB, MIB)))
    places = [machine.allocate(size) // MIB for size in (2 * MIB, MIB, 9 * MIB, 3 * MIB, MIB)]
    assert places == [10, 16, 1, 13, 12]
    with pytest.raises(BootError):
        machine.allocate(1)


def test_alignment_steps_over_it() -> None:
    machine = Machine(efi_map((DATA, 14 * MIB + PAGE, PAGE), (DATA, 9 * MIB, PAGE)))
    assert machine.allocate(3 * MIB, 2 * MIB) == 10 * MIB


def test_a_kernel_that_can_move_does() -> None:
    machine = Machine(efi_map((DATA, 4 * MIB, PAGE)))
    assert machine.is_free(2 * MIB, 2 * MIB)
    assert not machine.is_free(2 * MIB, 2 * MIB + 1)
    allocator.allocate_at(machine.memory, machine.context, 2 * MIB, 4 * MIB, text("a kernel that cannot"))


def test_no_kernel_is_told_less_memory() -> None:
    machine = Machine(efi_map((DATA, 4 * MIB, MIB), (CODE, 6 * MIB, MIB)))
    allocator.reserve(machine.context, 2 * MIB, PAGE, KERNEL)
    most = regions.most_regions(machine.memory, machine.context)
    room = array[MemoryRegion](MemoryRegion.zeroed() for _ in range(most))
    count = regions.write_regions(machine.memory, machine.context, room)
    told = [(room[index].base, room[index].size, room[index].kind) for index in range(count)]
    assert told == [(MIB, MIB, RAM), (2 * MIB, PAGE, KERNEL), (2 * MIB + PAGE, 15 * MIB - PAGE, RAM)]


@pytest.mark.parametrize(
    ("base", "pages"),
    [(0, 1 << 52), (0, (1 << 64) - 1), (PAGE, 1 << 63), (16 * MIB, 1 << 52), (16 * MIB, (1 << 52) + 1)],
)
def test_page_counts_do_not_wrap(base: int, pages: int) -> None:
    machine = Machine(descriptor(DATA, base, pages), 40)
    assert machine.allocate(MIB) == (15 if base == 16 * MIB else 16) * MIB
    assert lowest_start(machine.context, 16 * MIB, MIB, NOWHERE) == base


@pytest.mark.parametrize("base", [(1 << 64) - PAGE, (1 << 64) - 1])
def test_an_area_behind_all_memory_spares_nothing(base: int) -> None:
    machine = Machine(descriptor(DATA, base, (1 << 64) - 1), 40)
    assert machine.allocate(16 * MIB) == MIB


@pytest.mark.parametrize("size", [0, 1, 39])
def test_too_short_descriptors_come_to_an_end(size: int) -> None:
    assert Machine(descriptor(DATA, 16 * MIB, 256) + bytes(39), size).allocate(MIB) == 15 * MIB


def test_a_longer_descriptor_than_the_map_is_none() -> None:
    assert Machine(descriptor(DATA, 16 * MIB, 256), 0xFFFF_FFFF).allocate(MIB) == 16 * MIB


@fuzzed
@given(efi=mutations(efi_map((DATA, 12 * MIB, MIB), (CODE, 3 * MIB, 2 * MIB), (CONVENTIONAL, 8 * MIB, MIB))))
def test_a_damaged_map_takes_no_memory_away(efi: bytes) -> None:
    assert MIB <= Machine(efi).allocate(16 * MIB) <= 16 * MIB


PAGES = st.integers(0, 20)


@given(st.lists(st.tuples(st.sampled_from([CODE, DATA, CONVENTIONAL]), PAGES, PAGES), max_size=8), st.integers(1, 12))
@settings(deadline=None)
def test_the_place_is_the_highest_that_spares_all(areas: list[Area], size: int) -> None:
    first = MIB // PAGE
    machine = Machine(efi_map(*((kind, MIB + base * PAGE, pages * PAGE) for kind, base, pages in areas)))
    machine.memory.ranges[0].size = 24 * PAGE
    spared = {page for kind, base, pages in areas if kind != CONVENTIONAL for page in range(base, base + pages)}
    fitting = [page for page in range(25 - size) if spared.isdisjoint(range(page, page + size))]
    assert machine.allocate(size * PAGE) // PAGE - first == max(fitting, default=24 - size)

"""Does the allocator give only RAM that nobody has, as high as it may, and say what is missing?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.context import MAX_RESERVATIONS, RAM, RESERVED, BootContext, MemoryRange
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.memory_map import MemoryMap, normalise
from bootslang.slang import BootError, fn, text, u64
from support.bare import Bare, Target

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
Line = tuple[int, int, int]


class Machine:
    """A memory map and a table of reservations."""

    def __init__(self, *lines: Line) -> None:
        self.context = BootContext.zeroed()
        for index, (base, size, kind) in enumerate(lines):
            self.context.memory[index] = MemoryRange(base=base, size=size, kind=kind)
        self.context.memory_count = len(lines)
        self.memory = MemoryMap.zeroed()
        normalise(self.context, self.memory)

    def allocate(self, size: int, alignment: int = 1, lowest: int = MIB, highest: int = 4 * GIB) -> int:
        zone = Zone(purpose=text("the test"), lowest=lowest, highest=highest, alignment=alignment)
        return allocator.allocate(self.memory, self.context, size, zone)

    def allocate_at(self, base: int, size: int) -> None:
        allocator.allocate_at(self.memory, self.context, base, size, text("the test"))

    def is_free(self, base: int, size: int) -> bool:
        return allocator.is_free(self.memory, self.context, base, size)

    def reserve(self, base: int, size: int) -> None:
        allocator.reserve(self.context, base, size)

    @property
    def reserved(self) -> list[tuple[int, int]]:
        taken = [self.context.reservations[index] for index in range(self.context.reservation_count)]
        return [(line.base, line.size) for line in taken]


@pytest.fixture
def small() -> Machine:
    """A machine of 16 MiB."""
    return Machine((0, 0x9FC00, RAM), (0xF0000, 0x10000, RESERVED), (MIB, 15 * MIB, RAM))


def test_memory_is_taken_from_the_top(small: Machine) -> None:
    assert small.allocate(MIB) == 15 * MIB
    assert small.allocate(MIB) == 14 * MIB
    assert small.reserved == [(15 * MIB, MIB), (14 * MIB, MIB)]


def test_memory_is_aligned_downwards(small: Machine) -> None:
    assert small.allocate(1, alignment=4096) == 16 * MIB - 4096
    assert small.allocate(4097, alignment=2 * MIB) == 14 * MIB


def test_what_is_taken_is_stepped_over(small: Machine) -> None:
    small.reserve(12 * MIB, 3 * MIB)
    small.reserve(15 * MIB + 512 * KIB, 4096)
    assert small.allocate(MIB) == 11 * MIB
    assert small.allocate(256 * KIB) == 16 * MIB - 256 * KIB


def test_the_zone_is_respected(small: Machine) -> None:
    assert small.allocate(MIB, highest=8 * MIB) == 7 * MIB
    assert small.allocate(6 * MIB, highest=8 * MIB) == MIB
    assert small.allocate(4096, lowest=0, highest=MIB) == 0x9FC00 - 4096
    with pytest.raises(BootError):
        small.allocate(1, highest=8 * MIB)


def test_the_last_byte_can_be_had(small: Machine) -> None:
    assert small.allocate(15 * MIB) == MIB
    with pytest.raises(BootError):
        small.allocate(1)


def test_memory_above_four_gib_is_taken_where_it_may(small: Machine) -> None:
    large = Machine((MIB, 3 * GIB, RAM), (4 * GIB, 2 * GIB, RAM))
    assert large.allocate(GIB, highest=2**52) == 5 * GIB
    assert large.allocate(GIB, highest=4 * GIB) == 2 * GIB + MIB
    del small


def test_an_error_says_how_much_is_missing(small: Machine) -> None:
    small.reserve(8 * MIB, 4096)
    with pytest.raises(BootError) as caught:
        small.allocate(10 * MIB, alignment=4096)
    assert str(caught.value) == (
        "not enough memory for the test: 10240 KiB are needed between 0x100000 and 0x100000000, "
        "the largest free piece has 8188 KiB, 2052 KiB are missing"
    )


def test_an_error_says_that_it_is_the_alignment(small: Machine) -> None:
    with pytest.raises(BootError) as caught:
        small.allocate(15 * MIB, alignment=2 * MIB)
    assert (
        str(caught.value)
        == "no place for the test: 0xf00000 free bytes aligned to 0x200000 between 0x100000 and 0x100000000 are needed"
    )


def test_no_ram_at_all_is_an_error() -> None:
    with pytest.raises(BootError, match="the largest free piece has 0 KiB, 1 KiB are missing"):
        Machine((0, GIB, RESERVED)).allocate(1)


@pytest.mark.parametrize(("size", "alignment"), [(0, 1), (1, 0), (1, 3), (4096, 4095)])
def test_nonsense_is_an_error(small: Machine, size: int, alignment: int) -> None:
    with pytest.raises(BootError, match="nobody can allocate"):
        small.allocate(size, alignment)


@pytest.mark.parametrize("size", [16 * MIB, 2**52, 2**63, 2**64 - 1])
def test_more_than_there_is_is_an_error(small: Machine, size: int) -> None:
    with pytest.raises(BootError, match="not enough memory"):
        small.allocate(size)


def test_an_inverted_zone_is_an_error(small: Machine) -> None:
    with pytest.raises(BootError, match="not enough memory"):
        small.allocate(1, lowest=8 * MIB, highest=4 * MIB)


def test_a_fixed_place_can_be_taken_once(small: Machine) -> None:
    small.allocate_at(2 * MIB, MIB)
    assert not small.is_free(3 * MIB - 1, 1)
    assert small.is_free(3 * MIB, 1)
    with pytest.raises(BootError, match="the test needs 0x100000 bytes at 0x280000: 0x200000 is taken"):
        small.allocate_at(2 * MIB + 512 * KIB, MIB)


@pytest.mark.parametrize(("base", "size"), [(15 * MIB, MIB + 1), (0xF0000, 1), (20 * MIB, 1), (2 * MIB, 2**64 - 1)])
def test_a_fixed_place_has_to_be_ram(small: Machine, base: int, size: int) -> None:
    assert not small.is_free(base, size)
    with pytest.raises(BootError, match="are not all RAM"):
        small.allocate_at(base, size)


def test_released_memory_can_be_had_again(small: Machine) -> None:
    first = small.allocate(MIB)
    second = small.allocate(MIB)
    allocator.release(small.context, first)
    assert small.reserved == [(second, MIB)]
    assert small.allocate(MIB) == first
    with pytest.raises(BootError, match="nothing is reserved at 0x1234"):
        allocator.release(small.context, 0x1234)


def test_a_full_table_is_an_error(small: Machine) -> None:
    for index in range(MAX_RESERVATIONS):
        small.reserve(index * 4096, 4096)
    with pytest.raises(BootError, match="all 64 reservations of memory are taken"):
        small.allocate(1)


def test_a_reservation_that_wraps_is_an_error(small: Machine) -> None:
    with pytest.raises(BootError, match="wraps around"):
        small.reserve(2**64 - 1, 2)


@pytest.mark.parametrize(("base", "size"), [(2**64 - 1, 2**64 - 1), (8 * MIB, 2**64 - 1), (0, 2**64 - 1)])
def test_a_damaged_table_neither_hangs_nor_gives_what_it_covers(small: Machine, base: int, size: int) -> None:
    small.context.reservations[0] = MemoryRange(base=base, size=size, kind=RESERVED)
    small.context.reservation_count = 2**32 - 1
    with pytest.raises(BootError):
        small.allocate(14 * MIB + 1 if base > 16 * MIB else 8 * MIB)


@fn
def take(memory: MemoryMap, context: BootContext, size: u64, lowest: u64, highest: u64) -> u64:
    zone = Zone(purpose=text("the test"), lowest=lowest, highest=highest, alignment=4096)
    return allocator.allocate(memory, context, size, zone)


@pytest.mark.parametrize("target", ["protected32", "long64"])
def test_the_machine_takes_what_the_host_does(target: Target, small: Machine) -> None:
    machine = Bare(target, take)
    large = Machine((MIB, 3 * GIB, RAM), (4 * GIB, 2 * GIB, RAM))
    assert machine.call(take, large.memory, large.context, 5 * GIB // 4, MIB, 2**52) == 19 * GIB // 4
    assert machine.call(take, large.memory, large.context, GIB, MIB, 2**52) == 2 * GIB + MIB
    assert large.reserved == [(19 * GIB // 4, 5 * GIB // 4), (2 * GIB + MIB, GIB)]
    with pytest.raises(BootError) as caught:
        machine.call(take, small.memory, small.context, 5 * GIB, MIB, 4 * GIB)
    assert "the largest free piece has 15360 KiB, 5227520 KiB are missing [boot/lift/allocator.py:" in str(caught.value)


PLACES = st.integers(0, 60)
SIZES = st.integers(1, 30)


@given(
    st.lists(st.tuples(PLACES, SIZES, st.sampled_from([RAM, RESERVED])), max_size=8),
    st.lists(st.tuples(PLACES, SIZES), max_size=8),
    st.tuples(SIZES, st.sampled_from([1, 2, 4, 8]), PLACES, st.integers(0, 100)),
)
@settings(deadline=None)
def test_the_place_is_the_highest_that_fits(
    lines: list[Line], taken: list[tuple[int, int]], request_: tuple[int, int, int, int]
) -> None:
    size, alignment, lowest, highest = request_
    machine = Machine(*lines, (1000, 1, RESERVED))
    for base, length in taken:
        machine.reserve(base, length)
    free = {
        place
        for place in range(lowest, highest)
        if any(base <= place < base + length and kind == RAM for base, length, kind in lines)
        and not any(base <= place < base + length and kind == RESERVED for base, length, kind in lines)
        and not any(base <= place < base + length for base, length in taken)
    }
    fitting = [place for place in range(0, 100, alignment) if free.issuperset(range(place, place + size))]
    if fitting:
        assert machine.allocate(size, alignment, lowest, highest) == max(fitting)
    else:
        with pytest.raises(BootError):
            machine.allocate(size, alignment, lowest, highest)

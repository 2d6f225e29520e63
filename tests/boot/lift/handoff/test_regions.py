"""Does the kernel's memory map account for every byte, and say whose it is?"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.context import KERNEL, LOADER, MODULE, RESERVED, SPENT_MEMORY, BootContext
from bootslang.boot.handoff import MemoryRegion
from bootslang.boot.lift.allocator import reserve
from bootslang.boot.lift.handoff import regions
from bootslang.boot.lift.memory_map import MemoryMap, normalise
from bootslang.slang import array
from support.fuzzing import fuzzed
from support.payloads import MIB, machine, pc

RAM = 1
PAGE = 0x1000


def written(memory: MemoryMap, context: BootContext) -> list[tuple[int, int, int]]:
    """(base, end, kind) of each region."""
    room = array[MemoryRegion](MemoryRegion.zeroed() for _ in range(regions.most_regions(memory, context)))
    count = regions.write_regions(memory, context, room)
    return [(room[index].base, room[index].base + room[index].size, room[index].kind) for index in range(count)]


def test_a_machine_with_nothing_taken_is_told_as_the_firmware_tells_it() -> None:
    memory, context = machine((0, 0x9_FC00), (MIB, 64 * MIB))
    assert written(memory, context) == [(0, 0x9_FC00, RAM), (MIB, 64 * MIB, RAM)]


def test_what_is_held_is_cut_out_of_ram_and_what_is_spent_is_ram_again() -> None:
    memory, context = pc(64)
    reserve(context, 0, 0x8_0000, RESERVED)
    reserve(context, 16 * MIB, MIB, KERNEL)
    reserve(context, 20 * MIB, MIB, SPENT_MEMORY)
    reserve(context, 32 * MIB, 3 * PAGE, LOADER)
    assert written(memory, context) == [
        (0, 0x9_FC00, RAM),
        (MIB, 16 * MIB, RAM),
        (16 * MIB, 17 * MIB, KERNEL),
        (17 * MIB, 32 * MIB, RAM),
        (32 * MIB, 32 * MIB + 3 * PAGE, LOADER),
        (32 * MIB + 3 * PAGE, 64 * MIB, RAM),
    ]


def test_whole_pages_are_held() -> None:
    memory, context = pc(64)
    reserve(context, 16 * MIB + 5, 10, MODULE)
    reserve(context, 16 * MIB + PAGE, 1, MODULE)
    assert written(memory, context)[2] == (16 * MIB, 16 * MIB + 2 * PAGE, MODULE)


def test_a_reservation_of_nothing_holds_nothing() -> None:
    memory, context = pc(64)
    reserve(context, 16 * MIB + 5, 10, MODULE)
    context.reservations[0].size = 0
    assert written(memory, context)[1:] == [(MIB, 64 * MIB, RAM)]


def test_the_last_page_of_ram_may_end_with_something_else() -> None:
    memory, context = machine((0, 0x9_FC00), (0xA_0000, MIB))
    reserve(context, 0x9_F000, 0x800, LOADER)
    assert written(memory, context) == [(0, 0x9_F000, RAM), (0x9_F000, 0x9_FC00, LOADER), (0xA_0000, MIB, RAM)]


def test_alike_neighbours_are_one_region() -> None:
    memory, context = pc(64)
    reserve(context, 16 * MIB, PAGE, LOADER)
    reserve(context, 16 * MIB + PAGE, PAGE, LOADER)
    reserve(context, 16 * MIB + 2 * PAGE, PAGE, KERNEL)
    assert written(memory, context)[2:4] == [
        (16 * MIB, 16 * MIB + 2 * PAGE, LOADER),
        (16 * MIB + 2 * PAGE, 16 * MIB + 3 * PAGE, KERNEL),
    ]


def test_what_is_no_ram_stays_what_the_firmware_said() -> None:
    memory, context = machine((0, MIB), kind=3)
    reserve(context, 0, PAGE, LOADER)
    assert written(memory, context) == [(0, MIB, 3)]


pages = st.integers(0, 40)
lines = st.lists(st.tuples(pages, pages, st.sampled_from([1, 2, 3, 4, 5, 7, 12, 20])), min_size=1, max_size=8)
taken = st.lists(
    st.tuples(st.integers(0, 40 * PAGE), st.integers(0, 9 * PAGE), st.sampled_from([RESERVED, LOADER, KERNEL, MODULE])),
    max_size=8,
)


@fuzzed
@given(told=lines, held=taken)
def test_every_page_is_what_the_firmware_and_the_holder_make_it(
    told: list[tuple[int, int, int]], held: list[tuple[int, int, int]]
) -> None:
    context = BootContext.zeroed()
    for index, (base, size, kind) in enumerate(told):
        line = context.memory[index]
        line.base, line.size, line.kind = base * PAGE, size * PAGE, kind
    context.memory_count = len(told)
    memory = MemoryMap.zeroed()
    normalise(context, memory)
    firmware = [
        (memory.ranges[index].base, memory.ranges[index].base + memory.ranges[index].size, memory.ranges[index].kind)
        for index in range(memory.count)
    ]
    for base, size, kind in held:
        reserve(context, base, size, kind)
    found = written(memory, context)

    assert found == sorted(found)
    for (_, end, kind), (start, _, next_kind) in pairwise(found):
        assert end < start or (end == start and kind != next_kind)
    for page in range(0, 80 * PAGE, PAGE):
        expected = next((kind for base, end, kind in firmware if base <= page < end), None)
        if expected == RAM:
            holders = [
                kind
                for base, size, kind in held
                if size and kind != RESERVED and base // PAGE <= page // PAGE <= (base + size - 1) // PAGE
            ]
            expected = max(holders, default=RAM)
        assert next((kind for base, end, kind in found if base <= page < end), None) == expected

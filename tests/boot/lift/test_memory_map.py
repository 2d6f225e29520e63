"""Is the memory map sorted, free of overlaps, and as strict as the firmware's strictest word?"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.context import MAX_MEMORY_RANGES, RAM, RESERVED, BootContext, MemoryRange
from bootslang.boot.lift.memory_map import (
    ACPI_NVS,
    ACPI_RECLAIMABLE,
    LEGACY_PERSISTENT,
    PERSISTENT,
    PHYSICAL_END,
    UNUSABLE,
    MemoryMap,
    normalise,
)
from bootslang.slang import BootError
from support.bare import Bare, Target

MIB = 1 << 20
STRICTNESS = [RAM, ACPI_RECLAIMABLE, PERSISTENT, LEGACY_PERSISTENT, ACPI_NVS, RESERVED, 77, UNUSABLE]
Line = tuple[int, int, int]


def context_of(lines: list[Line]) -> BootContext:
    context = BootContext.zeroed()
    for index, (base, size, kind) in enumerate(lines):
        context.memory[index] = MemoryRange(base=base, size=size, kind=kind)
    context.memory_count = len(lines)
    return context


def normalised(*lines: Line) -> list[Line]:
    return ranges_of(context_of(list(lines)))


def ranges_of(context: BootContext) -> list[Line]:
    memory = MemoryMap.zeroed()
    normalise(context, memory)
    return lines_of(memory)


def lines_of(memory: MemoryMap) -> list[Line]:
    found = [memory.ranges[index] for index in range(memory.count)]
    return [(line.base, line.size, line.kind) for line in found]


def test_what_qemu_says_stays_as_it_is() -> None:
    lines = [
        (0, 0x9FC00, RAM),
        (0x9FC00, 0x400, RESERVED),
        (0xF0000, 0x10000, RESERVED),
        (0x100000, 0x7EE0000, RAM),
        (0x7FE0000, 0x20000, RESERVED),
        (0xFFFC0000, 0x40000, RESERVED),
    ]
    assert normalised(*lines) == lines


def test_lines_are_sorted() -> None:
    assert normalised((4 * MIB, MIB, RAM), (MIB, MIB, RESERVED), (0, 4096, RAM)) == [
        (0, 4096, RAM),
        (MIB, MIB, RESERVED),
        (4 * MIB, MIB, RAM),
    ]


def test_neighbours_of_one_kind_are_merged() -> None:
    assert normalised((MIB, MIB, RAM), (2 * MIB, MIB, RAM), (3 * MIB, 1, RESERVED)) == [
        (MIB, 2 * MIB, RAM),
        (3 * MIB, 1, RESERVED),
    ]


def test_the_stricter_kind_wins_an_overlap() -> None:
    assert normalised((0, 10 * MIB, RAM), (2 * MIB, MIB, RESERVED), (2 * MIB, 4 * MIB, ACPI_NVS)) == [
        (0, 2 * MIB, RAM),
        (2 * MIB, MIB, RESERVED),
        (3 * MIB, 3 * MIB, ACPI_NVS),
        (6 * MIB, 4 * MIB, RAM),
    ]


@pytest.mark.parametrize("stricter", range(1, len(STRICTNESS)))
def test_the_order_of_strictness(stricter: int) -> None:
    for weaker in range(stricter):
        for lines in (
            ((0, 1, STRICTNESS[weaker]), (0, 1, STRICTNESS[stricter])),
            (
                (0, 1, STRICTNESS[stricter]),
                (0, 1, STRICTNESS[weaker]),
            ),
        ):
            assert normalised(*lines) == [(0, 1, STRICTNESS[stricter])]


def test_empty_lines_say_nothing() -> None:
    assert normalised((MIB, 0, RESERVED), (0, 4 * MIB, RAM), (8 * MIB, 0, RAM)) == [(0, 4 * MIB, RAM)]


def test_ram_that_wraps_around_is_not_believed() -> None:
    assert normalised((MIB, MIB, RAM), (MIB, 2**64 - 1, RAM)) == [(MIB, MIB, RAM)]


def test_what_forbids_and_wraps_around_is_clipped() -> None:
    top = 2**32
    assert normalised((0, 2 * top, RAM), (top, 2**64 - 1, RESERVED)) == [
        (0, top, RAM),
        (top, PHYSICAL_END - top, RESERVED),
    ]


def test_nothing_lies_beyond_what_a_cpu_can_address() -> None:
    assert normalised((PHYSICAL_END, MIB, RAM), (PHYSICAL_END - MIB, 2 * MIB, RAM)) == [(PHYSICAL_END - MIB, MIB, RAM)]


@pytest.mark.parametrize("lines", [[(0, 0, RAM)], [(2**64 - 1, 1, RESERVED), (MIB, 2**64 - 1, RAM)]])
def test_a_map_that_says_nothing_counts_as_none(lines: list[Line]) -> None:
    assert normalised(*lines) == [(0, 0x80000, RAM), (0x80000, 0x80000, RESERVED)]


def test_a_full_table_of_nested_lines_fits() -> None:
    lines = [(4096 * index, 2**40 - 8192 * index, index + 1) for index in range(MAX_MEMORY_RANGES)]
    ranges = normalised(*lines)
    assert sum(size for _, size, _ in ranges) == 2**40
    assert len(ranges) <= 2 * MAX_MEMORY_RANGES - 1


def test_a_full_table_of_lines_with_gaps_stays() -> None:
    lines = [(8192 * index, 4096, RAM) for index in range(MAX_MEMORY_RANGES)]
    assert normalised(*reversed(lines)) == lines


def test_more_lines_than_the_table_has_are_an_error() -> None:
    context = context_of([(0, MIB, RAM)])
    context.memory_count = MAX_MEMORY_RANGES + 1
    with pytest.raises(BootError, match="the memory map has 129 lines, at most 128 are possible"):
        ranges_of(context)


@pytest.mark.parametrize(("alt_kib", "ext_kib", "expected"), [(130_048, 64_512, 130_048), (0, 31_744, 31_744)])
def test_without_e820_the_map_comes_from_older_calls(alt_kib: int, ext_kib: int, expected: int) -> None:
    context = BootContext.zeroed()
    context.alt_mem_k = alt_kib
    context.ext_mem_k = ext_kib
    assert ranges_of(context) == [
        (0, 0x80000, RAM),
        (0x80000, 0x80000, RESERVED),
        (MIB, expected * 1024, RAM),
    ]


def test_without_any_word_of_the_firmware_there_is_low_memory_only() -> None:
    assert ranges_of(BootContext.zeroed()) == [(0, 0x80000, RAM), (0x80000, 0x80000, RESERVED)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.sampled_from(STRICTNESS)), max_size=25))
@settings(deadline=None)
def test_each_byte_gets_its_strictest_kind(lines: list[Line]) -> None:
    ranges = normalised(*lines, (100, 1, RESERVED))
    for (base, size, kind), (next_base, _, next_kind) in pairwise(ranges):
        assert size > 0
        assert base + size < next_base or (base + size == next_base and kind != next_kind)
    for place in range(64):
        said = [kind for base, size, kind in lines if base <= place < base + size]
        found = [kind for base, size, kind in ranges if base <= place < base + size]
        assert found == ([max(said, key=STRICTNESS.index)] if said else [])


@pytest.mark.parametrize("target", ["protected32", "long64"])
@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2, st.integers(1, 8)), max_size=8))
@settings(deadline=None, max_examples=25)
def test_the_machine_makes_of_it_what_the_host_does(target: Target, lines: list[Line]) -> None:
    memory = MemoryMap.zeroed()
    bare(target).call(normalise, context_of(lines), memory)
    assert lines_of(memory) == normalised(*lines)


@cache
def bare(target: Target) -> Bare:
    return Bare(target, normalise)


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2, st.integers(0, 2**32 - 1)), max_size=MAX_MEMORY_RANGES - 1))
@settings(deadline=None)
def test_any_lines_give_ordered_ranges(lines: list[Line]) -> None:
    end = 0
    lines.append((0, 1, RAM))
    for base, size, kind in normalised(*lines):
        assert base >= end
        assert size > 0
        assert kind in {kind for _, _, kind in lines}
        end = base + size
    assert end <= PHYSICAL_END

"""Do the pieces of a kernel's file go where they belong, and is the rest of its memory zero?"""

import pytest

from bootslang.boot.lift.segment import Segment, Segments, clear_gaps, is_executable, place_of
from bootslang.slang import BootError
from support.low_memory import LowMemory
from support.payloads import MIB, READ_EXECUTE, READ_WRITE


def made(*segments: tuple[int, int, int, int]) -> Segments:
    """Segments of these places, offsets and sizes in the file and in memory; the first is code."""
    result = Segments.zeroed()
    for index, (place, offset, file_size, memory_size) in enumerate(segments):
        segment = Segment.zeroed()
        segment.place, segment.offset, segment.file_size, segment.memory_size = place, offset, file_size, memory_size
        segment.flags = READ_WRITE if index else READ_EXECUTE
        result.insert(segment)
    return result


KERNEL = made((20 * MIB, 0x1000, 400, 400), (22 * MIB, 0x1190, 200, 4 * MIB))


def test_each_chunk_has_its_place() -> None:
    assert place_of(KERNEL.all(), 0x1000, 400) == 20 * MIB
    assert place_of(KERNEL.all(), 0x1064, 300) == 20 * MIB + 100
    assert place_of(KERNEL.all(), 0x1190, 200) == 22 * MIB


def test_a_chunk_that_belongs_nowhere_is_refused() -> None:
    with pytest.raises(BootError, match="the kernel's chunk at 0x1000 reaches beyond its segment"):
        place_of(KERNEL.all(), 0x1000, 401)
    with pytest.raises(BootError, match="the kernel's chunk at 0xfff belongs to no segment"):
        place_of(KERNEL.all(), 0xFFF, 1)
    with pytest.raises(BootError, match="belongs to no segment"):
        place_of(KERNEL.all(), 0x1190 + 200, 1)


def test_they_are_kept_by_place_and_move_together() -> None:
    segments = made((5, 0, 0, 1), (9, 0, 0, 1), (3, 0, 0, 1))
    segments.move((1 << 64) - 2)
    assert [segments.table[index].place for index in range(3)] == [1, 3, 7]


def test_code_is_what_may_be_entered() -> None:
    entries = [20 * MIB - 1, 20 * MIB, 20 * MIB + 399, 20 * MIB + 400, 22 * MIB]
    assert [is_executable(KERNEL.all(), entry) for entry in entries] == [False, True, True, False, False]


def test_what_no_byte_goes_to_is_cleared() -> None:
    with LowMemory(0x3000) as low:
        low.write(low.base, b"x" * 0x3000)
        segments = made((low.base + 0x100, 0, 0x10, 0x20), (low.base + 0x1000, 0x10, 0x20, 0x800))
        clear_gaps(segments.all(), low.base + 0x1800)
        memory = low.read(low.base, 0x3000)
    assert memory[:0x110] == b"x" * 0x110
    assert not any(memory[0x110:0x1000])
    assert memory[0x1000:0x1020] == b"x" * 0x20
    assert not any(memory[0x1020:0x1800])
    assert memory[0x1800:] == b"x" * 0x1800

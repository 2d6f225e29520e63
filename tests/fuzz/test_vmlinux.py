"""Does the ELF reader of stage 4 accept only what can be placed and entered, whatever the headers say?"""

import struct

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.lift import vmlinux
from bootslang.boot.lift.vmlinux import Vmlinux
from bootslang.slang import BootError, span
from support.fuzzing import fuzzed, mutations
from support.payloads import MIB, READ_WRITE, Elf, Load

LOADS = [Load(16 * MIB, b"code" * 100), Load(18 * MIB, b"data" * 50, memory=4 * MIB, flags=READ_WRITE)]
VMLINUX = Elf(LOADS).head
VMLINUX32 = Elf(LOADS, bits=32).head
FIRST = 64
"""Where the first program header of an ELF64 starts."""


def credible(found: Vmlinux, head: int, size: int) -> bool:
    """What everybody behind the reader relies on."""
    end = MIB
    for part in (found.segments.table[index] for index in range(found.segments.count)):
        whole = part.file_size <= part.memory_size and (not part.file_size or part.offset + part.file_size <= size)
        if not whole or part.place < end or (part.file_size and part.offset < head < size):
            return False
        end = part.place + part.memory_size
    return 0 < found.segments.count <= 64 and end <= 1 << 32 and found.low <= found.entry < found.high


@fuzzed
@given(data=st.one_of(mutations(VMLINUX), mutations(VMLINUX32)), size=st.integers(0, 1 << 33))
def test_damaged_headers_are_refused_or_credible(data: bytes, size: int) -> None:
    found = Vmlinux.zeroed()
    try:
        vmlinux.read_headers(span(data), size, found)
    except BootError:
        pass
    else:
        assert credible(found, len(data), size)


numbers = st.one_of(st.integers(0, 1 << 64), st.integers(MIB, 1 << 33), st.sampled_from([0, 1, MIB, (1 << 64) - 1]))


@fuzzed
@given(
    loads=st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=5),
    entry=numbers,
    size=numbers,
)
def test_any_numbers_are_refused_or_credible(loads: list[tuple[int, int, int, int]], entry: int, size: int) -> None:
    mask = (1 << 64) - 1
    kernel = Elf([Load(0) for _ in loads], entry=entry & mask)
    for index, (offset, place, file_size, memory_size) in enumerate(loads):
        values = [offset & mask, place & mask, place & mask, file_size & mask, memory_size & mask]
        kernel.patches[FIRST + 56 * index + 8] = struct.pack("<5Q", *values)
    found = Vmlinux.zeroed()
    try:
        vmlinux.read_headers(span(kernel.head), size & mask, found)
    except BootError:
        pass
    else:
        assert credible(found, len(kernel.head), size & mask)

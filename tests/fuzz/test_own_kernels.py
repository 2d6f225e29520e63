"""Are kernels of one's own, however damaged, refused or credible, and never written beside their memory?"""

import struct

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.context import PROTOCOL_HANDOFF
from bootslang.boot.lift.handoff import kernel as reader
from bootslang.boot.lift.handoff import relocations
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.slang import BootError, span
from support.fuzzing import fuzzed, fuzzed_slowly, mutations
from support.hand_off import HandoffDoor
from support.own_kernels import DYNAMIC, READ_WRITE, RELRO, Loaded, OwnKernel, Part, dynamic, relocation
from support.payloads import MIB

TABLE, DATA, DYNAMIC_AT = 0x1000, 0x2000, 0x2100
ROWS = b"".join(relocation(DATA + 8 * index, index) for index in range(8))
SECTION = dynamic((7, TABLE), (8, len(ROWS)), (9, 24))
PARTS = [
    Part(0, b"code" * 8),
    Part(TABLE, ROWS, flags=4),
    Part(DATA, bytes(DYNAMIC_AT - DATA) + SECTION, memory=0x2000, flags=READ_WRITE),
]
PIECES = [(DYNAMIC, DYNAMIC_AT, len(SECTION)), (RELRO, DATA, 0x1000)]
FILE = OwnKernel(PARTS, pieces=PIECES).file
HEADERS = 64 + 5 * 56
LAST_PAGE = (1 << 64) - 0x1000
MODULE = bytes(range(256)) * 20


def credible(found: HandoffKernel, size: int) -> bool:
    """What everybody behind the reader relies on."""
    end = 0
    for part in (found.segments.table[index] for index in range(found.segments.count)):
        if part.virtual < end or part.file_size > part.memory_size:
            return False
        if part.file_size and part.offset + part.file_size > size:
            return False
        end = part.virtual + part.memory_size
    inside = found.low <= found.segments.table[0].virtual < found.low + 0x1000 and found.end == end <= LAST_PAGE
    return inside and 0 < found.end - found.low <= 1 << 30 and found.low <= found.entry < end


@fuzzed
@given(data=mutations(FILE[:HEADERS]), size=st.integers(0, 1 << 33))
def test_damaged_headers_are_refused_or_credible(data: bytes, size: int) -> None:
    found = HandoffKernel.zeroed()
    try:
        reader.read(span(data), size, found)
    except BootError:
        pass
    else:
        assert credible(found, size)


numbers = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 0x4000),
    st.integers(LAST_PAGE - 0x4000, (1 << 64) - 1),
    st.sampled_from([0x7FFF_FFFF_F000, 0x8000_0000_0000, 0xFFFF_8000_0000_0000]),
)


@fuzzed
@given(
    loads=st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=5),
    entry=numbers,
    size=numbers,
)
def test_any_numbers_are_refused_or_credible(loads: list[tuple[int, int, int, int]], entry: int, size: int) -> None:
    patches = {
        64 + 56 * index + 8: struct.pack("<5Q", offset, virtual, 0, file_size, memory_size)
        for index, (offset, virtual, file_size, memory_size) in enumerate(loads)
    }
    file = OwnKernel([Part(0) for _ in loads], entry=entry, patches=patches).file
    found = HandoffKernel.zeroed()
    try:
        reader.read(span(file), size, found)
    except BootError:
        pass
    else:
        assert credible(found, size)


@fuzzed
@given(section=mutations(SECTION), rows=mutations(ROWS), shift=st.integers(0, (1 << 64) - 1))
def test_damaged_relocations_write_nothing_beside_the_kernel(section: bytes, rows: bytes, shift: int) -> None:
    kernel = OwnKernel(
        [PARTS[0], Part(TABLE, rows, flags=4), Part(DATA, bytes(DYNAMIC_AT - DATA) + section, flags=READ_WRITE)],
        pieces=[(DYNAMIC, DYNAMIC_AT, len(section))],
    )
    loaded = Loaded(kernel)
    loaded.kernel.shift = shift
    try:
        relocations.apply(loaded.kernel)
    except BootError:
        pass
    finally:
        loaded.guarded.check()


@fuzzed_slowly
@given(data=mutations(FILE))
def test_a_damaged_kernel_is_refused_or_started_with_nothing_else_touched(data: bytes) -> None:
    """The memory map tells whose the memory is: what the kernel does not hold is as it was."""
    with HandoffDoor() as door:
        door.context.protocol = PROTOCOL_HANDOFF
        place = door.add(data, 40 * MIB)
        module = door.add(MODULE, 44 * MIB)
        try:
            found = door.hand_off()
        except BootError:
            pass
        else:
            assert found.physical(found.entry)
            assert "rwx" not in {page.rights for page in found.pages}
            assert [told.physical for told in found.modules] == [module]
        assert door.read(module, len(MODULE)) == MODULE
        assert door.read(place, len(data)) == data

"""Is the note of a hand-off kernel found among others, and is no other taken for it?"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.lift.handoff import note
from bootslang.slang import span
from support.fuzzing import fuzzed, mutations

NONE, TOO_SHORT = 0, 0xFFFF_FFFF


def written(name: bytes, kind: int, description: bytes, unit: int = 4) -> bytes:
    head = struct.pack("<III", len(name), len(description), kind) + name
    return b"".join(part.ljust(-(-len(part) // unit) * unit, b"\0") for part in (head, description))


OURS = written(b"Bootslang\0", 1, struct.pack("<I", 1))
XEN = written(b"Xen\0", 18, struct.pack("<Q", 0x10_0000))
PROPERTY = written(b"GNU\0", 5, bytes(16))


def version(notes: bytes, alignment: int = 4) -> int:
    return note.version_in(span(notes), alignment)


@pytest.mark.parametrize("notes", [OURS, XEN + OURS, PROPERTY + XEN + OURS + XEN])
def test_the_note_is_found_wherever_it_stands(notes: bytes) -> None:
    assert version(notes) == 1


@pytest.mark.parametrize("before", [(b"Xen\0", bytes(4)), (b"X", b""), (b"FIVE\0", b""), (b"GNU\0", bytes(12))])
def test_notes_of_a_wider_alignment_are_padded_to_it(before: tuple[bytes, bytes]) -> None:
    name, description = before
    wide = written(name, 1, description, 8) + written(b"Bootslang\0", 1, struct.pack("<I", 1), 8)
    narrow = written(name, 1, description) + OURS
    assert wide != narrow
    assert version(wide, 8) == 1
    for alignment in (0, 1, 2, 4, 16, 1 << 63):
        assert version(narrow, alignment) == 1


@pytest.mark.parametrize(
    "notes",
    [
        b"",
        XEN,
        written(b"Bootslang", 1, bytes(4)),
        written(b"Bootslong\0", 1, bytes(4)),
        written(b"Bootslang\0", 2, bytes(4)),
        OURS[:11],
        OURS[:16],
        struct.pack("<III", 0, 0, 1) * 3,
    ],
)
def test_no_other_note_is_ours(notes: bytes) -> None:
    assert version(notes) == NONE


@pytest.mark.parametrize("wrong", [0xFFFF_FFFF, 0xFFFF_FFFD, 0x8000_0000, 0x100])
@pytest.mark.parametrize("field", [0, 4])
def test_sizes_beyond_the_notes_end_them(wrong: int, field: int) -> None:
    damaged = bytearray(XEN + OURS)
    damaged[field : field + 4] = struct.pack("<I", wrong)
    assert version(bytes(damaged)) == NONE


def test_a_note_without_a_whole_version_is_no_version() -> None:
    assert version(written(b"Bootslang\0", 1, b"\1")) == TOO_SHORT
    assert version(OURS[:-4]) == TOO_SHORT


@fuzzed
@given(notes=mutations(XEN + OURS), alignment=st.sampled_from([4, 8]))
def test_damaged_notes_are_read_inside_their_bounds(notes: bytes, alignment: int) -> None:
    assert 0 <= version(notes, alignment) <= 0xFFFF_FFFF

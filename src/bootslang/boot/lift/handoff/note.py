"""The note by which a kernel says that it takes the hand-off, and in which version (docs/handoff.md, "The note").

`kind.py` looks for it in a kernel's file, to tell it from Linux; `boot.py` in the loaded kernel, for the version.
"""

from typing import Final

from bootslang.boot.handoff import NOTE_NAME, NOTE_TYPE
from bootslang.boot.lib.texts import equals
from bootslang.slang import Struct, array, compile_for, fn, sizeof, span, u8, u32, u64, usize

compile_for("protected32", "long64")

OURS: Final = array[u8](NOTE_NAME + b"\0")
"""The zero counts."""
NO_NOTE: Final = 0
NO_VERSION: Final = 0xFFFF_FFFF
"""The note is there, and too short."""


class NoteHeader(Struct):
    """Name and description follow; what is behind either starts at a multiple of 4 bytes, or 8, from the header."""

    name_size: u32
    description_size: u32
    type: u32


@fn
def version_in(notes: span[u8], alignment: u64) -> u32:
    """The version that the protocol's note tells, or NO_NOTE; what does not look like a note ends the notes.

    `alignment` is their program header's: with 8, notes are padded to 8 bytes, with anything else to 4.
    """
    unit: usize = 8 if alignment == 8 else 4
    while len(notes) >= sizeof(NoteHeader):
        note = NoteHeader.of(notes)
        rest = notes[sizeof(NoteHeader) :]
        name_bytes = padded(sizeof(NoteHeader) + note.name_size, unit) - sizeof(NoteHeader)
        step = name_bytes + padded(note.description_size, unit)
        if name_bytes > len(rest):
            return NO_NOTE
        if note.type == NOTE_TYPE and equals(rest[: note.name_size], OURS):
            version = rest[name_bytes:].cast(u32)
            return version[0] if note.description_size >= sizeof(u32) and version else NO_VERSION
        if step < name_bytes or step > len(rest):
            return NO_NOTE
        notes = rest[step:]
    return NO_NOTE


@fn
def padded(size: usize, unit: usize) -> usize:
    return size + unit - 1 & ~(unit - 1)

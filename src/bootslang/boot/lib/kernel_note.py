"""The ELF note by which a kernel in slang says that it takes the hand-off (docs/handoff.md); linked into each of them.

System V ABI, chapter 5, "Note Section": the sizes of name and description, without padding; the type; the name with its
zero, padded to four bytes; the description, which is the protocol's version.
"""

from typing import Final

from bootslang.boot.handoff import NOTE_NAME, NOTE_TYPE, VERSION
from bootslang.slang import array, compile_for, placed, u8

compile_for("long64")

NAME: Final = NOTE_NAME + b"\0"
PADDING: Final = bytes(-len(NAME) % 4)
WORD_BYTES: Final = 4


def words(*numbers: int) -> bytes:
    """Numbers of 32 bits, one behind the other."""
    return b"".join(number.to_bytes(WORD_BYTES, "little") for number in numbers)


NOTE: Final = placed(
    ".note.bootslang", array[u8](words(len(NAME), WORD_BYTES, NOTE_TYPE) + NAME + PADDING + words(VERSION))
)

"""Unpack an LZ4 block: how stages 3 and 4 lie on the disk. Small code; for megabytes there are the codecs.

By the LZ4 block format description, of 2022: sequences of a token, literals, and a match that copies what was written
before. The last sequence is literals alone. Stage 2 calls it, in 32-bit protected mode.
"""

from typing import Final

from bootslang.slang import BootError, Struct, compile_for, fn, span, u8, usize

compile_for("protected32", "long64")

LONG: Final = 15
"""A length of this in the token goes on in the bytes that follow, up to one that is not CONTINUED."""
CONTINUED: Final = 255
LEAST_MATCH: Final = 4


class Reader(Struct):
    """The packed bytes, and how far they have been read."""

    packed: span[u8]
    position: usize


@fn
def unpack_lz4(packed: span[u8], out: span[u8]) -> None:
    """Fill all of `out` from all of `packed`; a BootError where the two do not fit together."""
    reader = Reader(packed=packed, position=0)
    written: usize = 0
    while True:
        token = next_byte(reader)
        count = length(reader, token >> 4)
        literals = packed[reader.position :]
        out[written:][0:count] = literals[0:count]
        written += count
        reader.position += count
        if reader.position == len(packed):
            break
        distance = usize(next_byte(reader)) | usize(next_byte(reader)) << 8
        count = length(reader, token & LONG) + LEAST_MATCH
        if distance == 0 or distance > written or count > len(out) - written:
            raise BootError("a packed stage refers to bytes outside of it")
        if distance >= count:
            start = written - distance
            out[written : written + count] = out[start : start + count]
            written += count
        else:
            # The match overlaps what it makes: that is how runs are written.
            for _ in range(count):
                out[written] = out[written - distance]
                written += 1
    if written != len(out):
        raise BootError(f"a packed stage has {written} bytes instead of {len(out)}")


@fn
def length(reader: Reader, start: u8) -> usize:
    """A length that begins in a token."""
    total = usize(start)
    if start == LONG:
        while True:
            more = next_byte(reader)
            total += more
            if more != CONTINUED:
                break
    return total


@fn
def next_byte(reader: Reader) -> u8:
    byte = reader.packed[reader.position]
    reader.position += 1
    return byte

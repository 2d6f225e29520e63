"""LZ4 frames and blocks that are put together by hand, so that every field can be wrong; and a reader of blocks."""

from __future__ import annotations

import xxhash

MAGIC = b"\x04\x22\x4d\x18"
LEGACY_MAGIC = b"\x02\x21\x4c\x18"
VERSION = 0x40
INDEPENDENT = 0x20
BLOCK_CHECKSUMS = 0x10
CONTENT_SIZE = 0x08
CONTENT_CHECKSUM = 0x04
RESERVED = 0x02
DICTIONARY = 0x01
SMALLEST_BLOCKS = 0x40
STORED = 1 << 31
LONG = 15


def checksum(data: bytes) -> bytes:
    return xxhash.xxh32_intdigest(data).to_bytes(4, "little")


def block(data: bytes, *, stored: bool = False, size: int | None = None) -> bytes:
    """A block's size, then the block."""
    return ((len(data) if size is None else size) | STORED * stored).to_bytes(4, "little") + data


def header(*, flags: int = VERSION, sizes: int = SMALLEST_BLOCKS, fields: bytes = b"") -> bytes:
    described = bytes([flags, sizes]) + fields
    return MAGIC + described + bytes([xxhash.xxh32_intdigest(described) >> 8 & 0xFF])


def frame(*blocks: bytes, flags: int = VERSION, sizes: int = SMALLEST_BLOCKS, fields: bytes = b"") -> bytes:
    return header(flags=flags, sizes=sizes, fields=fields) + b"".join(blocks) + bytes(4)


def sequence(literals: bytes, distance: int = 0, count: int = 0) -> bytes:
    """Literals and a match of `count` bytes, or, if that is 0, the last literals of a block."""
    more = count - 4 if count else 0
    made = bytes([min(len(literals), LONG) << 4 | min(more, LONG)]) + tail(len(literals)) + literals
    return made + distance.to_bytes(2, "little") + tail(more) if count else made


def tail(length: int) -> bytes:
    """What follows the token for a length of at least LONG."""
    return b"" if length < LONG else b"\xff" * ((length - LONG) // 255) + bytes([(length - LONG) % 255])


def read_block(packed: bytes) -> bytes:
    """Unpack a block in the plainest way; an IndexError or a ValueError for what is none."""
    out = bytearray()
    at = 0

    def length(start: int) -> int:
        nonlocal at
        total = start
        while start == LONG:
            at += 1
            total += packed[at - 1]
            if packed[at - 1] != 255:
                break
        return total

    while True:
        token = packed[at]
        at += 1
        count = length(token >> 4)
        if count > len(packed) - at:
            raise ValueError("literals end too early")
        out += packed[at : at + count]
        at += count
        if at == len(packed):
            return bytes(out)
        distance = packed[at] | packed[at + 1] << 8
        at += 2
        if not 0 < distance <= len(out):
            raise ValueError("a match begins before the block")
        for _ in range(length(token & LONG) + 4):
            out.append(out[-distance])

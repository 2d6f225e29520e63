"""Zstandard frames that are put together by hand, so that every field can be wrong. By RFC 8878."""

from __future__ import annotations

MAGIC = b"\x28\xb5\x2f\xfd"
RAW, RLE, COMPRESSED = 0, 1, 2
WINDOW = 0x38
"""A window descriptor: 128 KiB."""


def frame(*blocks: bytes, flags: int = 0, header: bytes | None = None) -> bytes:
    """A frame; `header` is what stands between the flags and the first block."""
    return MAGIC + bytes([flags]) + (bytes([WINDOW]) if header is None else header) + b"".join(blocks)


def block(content: bytes, *, kind: int = RAW, size: int | None = None, last: bool = True) -> bytes:
    head = last | kind << 1 | (len(content) if size is None else size) << 3
    return head.to_bytes(3, "little") + content


def packed(*parts: bytes, flags: int = 0, header: bytes | None = None) -> bytes:
    """A frame of one compressed block: a literals section, then a sequences section."""
    return frame(block(b"".join(parts), kind=COMPRESSED), flags=flags, header=header)


def raw_literals(data: bytes) -> bytes:
    """A literals section of fewer than 32 bytes as they are."""
    return bytes([len(data) << 3]) + data


def huffman_literals(size: int, content: bytes, *, form: int = 0, kind: int = COMPRESSED) -> bytes:
    """A literals section: a table, unless it is treeless, and streams."""
    return (kind | form << 2 | size << 4 | len(content) << 14).to_bytes(3, "little") + content


def sequences(count: int, codes: tuple[int, int, int], stream: bytes) -> bytes:
    """A sequences section with one code for all literal lengths, offsets, and match lengths each."""
    number = bytes([count]) if count < 0x80 else bytes([0x80 + (count >> 8), count & 0xFF])
    return number + b"\x54" + bytes(codes) + stream

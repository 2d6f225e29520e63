"""Files in the `.xz` format as Python's `lzma` does not write them: several blocks, sizes in headers, wrong fields."""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass

LZMA2 = b"\x21\x01\x10"
"""The filter's number, the size of its properties, a dictionary of 1 MiB."""
X86 = b"\x04\x00"
DICTIONARY_BYTES = 1 << 20


def chunks(data: bytes, *, x86: bool = False, preset: int = 6) -> bytes:
    """`data` as LZMA2."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": DICTIONARY_BYTES}]
    if x86:
        filters.insert(0, {"id": lzma.FILTER_X86})
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


@dataclass
class Block:
    """One block; what is None is as it should be."""

    data: bytes
    symbols: bytes | None = None
    """Its LZMA2 chunks."""
    filters: bytes = LZMA2
    flags: int | None = None
    sizes: bool = False
    """Whether its header says them."""
    packed: int | None = None
    unpacked: int | None = None
    checksum: bytes | None = None
    header_padding: bytes = b""
    padding: bytes = b"\0"


def number(value: int, *, length: int = 1) -> bytes:
    """7 bits a byte, the lowest first; at least `length` bytes."""
    found = bytearray()
    while value > 0x7F or len(found) + 1 < length:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + bytes([value])


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def padded(data: bytes, byte: bytes = b"\0") -> bytes:
    return data + byte * (-len(data) % 4)


def block_header(block: Block, symbols: bytes) -> bytes:
    count = 2 if block.filters.startswith(X86[:1]) else 1
    flags = (count - 1) | (0xC0 if block.sizes else 0)
    content = bytes([flags if block.flags is None else block.flags])
    if block.sizes:
        content += number(len(symbols) if block.packed is None else block.packed)
        content += number(len(block.data) if block.unpacked is None else block.unpacked)
    content = padded(b"?" + content + block.filters + block.header_padding)
    content = bytes([len(content) // 4]) + content[1:]
    return content + crc(content)


def stream(
    *blocks: Block,
    check: int = lzma.CHECK_CRC32,
    records: list[tuple[int, int]] | None = None,
    index: bytes | None = None,
    backward: int | None = None,
    flags: bytes | None = None,
    footer_flags: bytes | None = None,
) -> bytes:
    """A whole stream; `records`, `index` and what follows take the place of what would be right."""
    flags = bytes([0, check]) if flags is None else flags
    file = b"\xfd7zXZ\0" + flags + crc(flags)
    seen = []
    for block in blocks:
        symbols = chunks(block.data) if block.symbols is None else block.symbols
        content = block_header(block, symbols) + symbols
        summed = crc(block.data) if check == lzma.CHECK_CRC32 else b""
        seen.append((len(content) + len(summed), len(block.data)))
        file += padded(content, block.padding) + (summed if block.checksum is None else block.checksum)
    if index is None:
        found = seen if records is None else records
        index = b"\0" + number(len(found)) + b"".join(number(packed) + number(size) for packed, size in found)
        index = padded(index)
    index += crc(index)
    tail = (len(index) // 4 - 1 if backward is None else backward).to_bytes(4, "little")
    tail += flags if footer_flags is None else footer_flags
    return file + index + crc(tail) + tail + b"YZ"

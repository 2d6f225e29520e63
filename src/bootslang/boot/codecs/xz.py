"""xz: a chunk packed as one `.xz` file. Called by stage 4 for each such chunk, in 32 or 64 bits.

By "The .xz File Format" 1.2.0: streams of blocks, an index of them, and a footer; everything but the symbols has a
CRC-32 of its own. lzma2.py unpacks a block; the x86 filter, if the block has it, is undone in place afterwards. Of the
checks of the unpacked bytes, CRC-32 and CRC-64 are verified, and others are refused, as are other filters. Streams that
follow each other, with padding between them, are unpacked one after the other as `xz` does.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.crc import (
    Crc32Tables,
    Crc64Tables,
    crc32,
    crc64,
    make_crc32_tables,
    make_crc64_tables,
)
from bootslang.boot.codecs.lzma2 import decode_chunks
from bootslang.boot.codecs.lzma_symbols import Decoder  # noqa: TC001 - the compiler looks names up when it runs
from bootslang.boot.codecs.registry import Codec
from bootslang.boot.codecs.x86_filter import undo_x86
from bootslang.boot.disk import CODEC_XZ
from bootslang.slang import (
    BootError,
    Struct,
    address,
    compile_for,
    fn,
    placed,
    sizeof,
    span,
    text,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

MAGIC: Final = int.from_bytes(b"\xfd7zXZ\0", "little")
FOOTER_MAGIC: Final = int.from_bytes(b"YZ", "little")
CHECK_NONE: Final = 0
CHECK_CRC32: Final = 1
CHECK_CRC64: Final = 4
CHECK_SHA256: Final = 10
ALIGNMENT: Final = 4
"""Headers, blocks, the index and padding between streams are multiples of this."""
INDEX: Final = 0
"""Where a block's header says its size, this begins the index."""
FILTERS: Final = 0x03
HAS_PACKED_SIZE: Final = 0x40
HAS_UNPACKED_SIZE: Final = 0x80
RESERVED: Final = 0x3C
"""Bits of a block's flags."""
FILTER_X86: Final = 0x04
FILTER_LZMA2: Final = 0x21
MAX_DICTIONARY: Final = 40
"""The code of 4 GiB; the output is the dictionary, and its size means nothing."""
NUMBER_BYTES: Final = 9
"""A number has at most so many bytes, of 7 bits each."""


class StreamHeader(Struct):
    magic: u32
    magic_end: u16
    reserved: u8
    check: u8
    checksum: u32
    """Of the two bytes before."""


class Footer(Struct):
    checksum: u32
    """Of the next six bytes."""
    backward: u32
    """The size of the index, in ALIGNMENT, less one."""
    reserved: u8
    check: u8
    magic: u16


class Field(Struct):
    """A checksum in the file."""

    value: u32


class LongField(Struct):
    value: u64


class Record(Struct):
    """Of a block, in the index: its packed size without padding, and its unpacked one."""

    packed: u64
    unpacked: u64


class Records(Struct):
    """Blocks: as they were seen, or as the index has them."""

    count: u64
    digest: u32
    """A CRC-32 over each record and the digest before it."""
    reserved: u32
    latest: Record


class Work(Struct):
    """The memory that decoding takes; nothing in it outlives a call."""

    decoder: Decoder
    crc32: Crc32Tables
    crc64: Crc64Tables
    crc64_made: bool
    check: u8
    """Of the stream's blocks."""
    seen: Records
    """The stream's blocks so far."""


class Reader(Struct):
    """Headers, as they are read."""

    source: span[u8]
    position: usize


class BlockHeader(Struct):
    """What a block's header says."""

    packed: u64
    unpacked: u64
    """UNKNOWN if it does not say them."""
    start: u32
    """Where the x86 filter takes the block to begin."""
    filtered: bool


UNKNOWN: Final = 2**64 - 1
WORK_BYTES: Final = sizeof(Work)


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """Unpack all of `packed` into exactly all of `out`; `work` is at least WORK_BYTES."""
    area = Work.of(work)
    area.crc64_made = False
    make_crc32_tables(area.crc32)
    reader = Reader(source=packed, position=0)
    written: usize = 0
    while True:
        written = decode_stream(reader, area, out, written)
        skip_padding(reader)
        if reader.position == len(packed):
            break
    if written != len(out):
        raise BootError(f"xz: the data unpack to {written} bytes instead of {len(out)}")


@fn
def decode_stream(reader: Reader, area: Work, out: span[u8], written: usize) -> usize:
    """Unpack one stream behind what is `written`; return how much is written then."""
    start = reader.position
    header = StreamHeader.of(take(reader, sizeof(StreamHeader)))
    if header.magic != MAGIC & 0xFFFF_FFFF or header.magic_end != MAGIC >> 32:
        raise BootError(f"xz: no stream begins at byte {start}")
    if crc32(area.crc32, reader.source[start + 6 : start + 8]) != header.checksum:
        raise BootError("xz: the stream's header is damaged (CRC-32)")
    if header.reserved != 0:
        raise BootError("xz: the stream's header uses a later version of the format")
    if header.check not in (CHECK_NONE, CHECK_CRC32, CHECK_CRC64):
        if header.check == CHECK_SHA256:
            raise BootError("xz: SHA-256 is not supported: pack with --check=crc32")
        raise BootError(f"xz: check {header.check} is unknown")
    area.check = header.check
    area.seen = Records.zeroed()
    while True:
        start = reader.position
        size = take(reader, 1)[0]
        if size == INDEX:
            break
        written = decode_block(reader, area, out, written)
    read_index(reader, area, start)
    index_size = reader.position - start
    footer = Footer.of(take(reader, sizeof(Footer)))
    start = reader.position - sizeof(Footer)
    if footer.magic != FOOTER_MAGIC or crc32(area.crc32, reader.source[start + 4 : start + 10]) != footer.checksum:
        raise BootError("xz: the stream's footer is damaged")
    if footer.reserved != 0 or footer.check != header.check or (u64(footer.backward) + 1) * ALIGNMENT != index_size:
        raise BootError("xz: the stream's footer contradicts the stream")
    return written


@fn
def decode_block(reader: Reader, area: Work, out: span[u8], written: usize) -> usize:
    """Unpack one block, whose header's size is what was read last; return how much is written then."""
    start = reader.position - 1
    header = BlockHeader(packed=UNKNOWN, unpacked=UNKNOWN, start=0, filtered=False)
    read_block_header(reader, area, header)
    begin = reader.position
    decode_chunks(area.decoder, reader.source, begin, out, written)
    reader.position = area.decoder.position
    end = area.decoder.written
    if header.packed != UNKNOWN and header.packed != reader.position - begin:
        raise BootError("xz: a block's packed size is not what its header says")
    if header.unpacked != UNKNOWN and header.unpacked != end - written:
        raise BootError("xz: a block's unpacked size is not what its header says")
    unpadded = reader.position - start
    take_zeros(reader, start)
    block = out[written:end]
    if header.filtered:
        undo_x86(block, header.start)
    before = reader.position
    check_block(reader, area, block)
    add_record(area, area.seen, unpadded + reader.position - before, len(block))
    return end


@fn
def check_block(reader: Reader, area: Work, block: span[u8]) -> None:
    """Verify the unpacked bytes by what follows the packed ones."""
    if area.check == CHECK_CRC32 and Field.of(take(reader, 4)).value != crc32(area.crc32, block):
        raise BootError("xz: a block's bytes are wrong (CRC-32)")
    if area.check == CHECK_CRC64:
        if not area.crc64_made:
            make_crc64_tables(area.crc64)
            area.crc64_made = True
        if LongField.of(take(reader, 8)).value != crc64(area.crc64, block):
            raise BootError("xz: a block's bytes are wrong (CRC-64)")


@fn
def read_block_header(reader: Reader, area: Work, header: BlockHeader) -> None:
    """Read the header of a block behind the byte that says its size, and leave the reader behind it."""
    start = reader.position - 1
    size = (usize(reader.source[start]) + 1) * ALIGNMENT
    take(reader, size - 1)
    content = reader.source[start : start + size - 4]
    if crc32(area.crc32, content) != Field.of(reader.source[start + size - 4 : start + size]).value:
        raise BootError("xz: a block's header is damaged (CRC-32)")
    fields = Reader(source=content, position=1)
    flags = take(fields, 1)[0]
    if flags & RESERVED != 0:
        raise BootError("xz: a block's header uses a later version of the format")
    if flags & HAS_PACKED_SIZE != 0:
        header.packed = number(fields)
    if flags & HAS_UNPACKED_SIZE != 0:
        header.unpacked = number(fields)
    read_filters(fields, header, (flags & FILTERS) + 1)
    for byte in content[fields.position :]:
        if byte != 0:
            raise BootError("xz: a block's header uses a later version of the format")


@fn
def read_filters(fields: Reader, header: BlockHeader, count: u8) -> None:
    """Read which filters a block has: LZMA2, perhaps with the x86 filter before it."""
    kind = number(fields)
    if count == 2 and kind == FILTER_X86:
        size = number(fields)
        if size == 4:
            header.start = Field.of(take(fields, 4)).value
        elif size != 0:
            raise BootError("xz: impossible properties of the x86 filter")
        header.filtered = True
        count = 1
        kind = number(fields)
    if count != 1 or kind != FILTER_LZMA2:
        raise BootError(f"xz: filter {kind:#x} is not supported here; LZMA2 is, alone or behind the x86 filter")
    if number(fields) != 1 or take(fields, 1)[0] > MAX_DICTIONARY:
        raise BootError("xz: impossible properties of LZMA2")


@fn
def read_index(reader: Reader, area: Work, start: usize) -> None:
    """Read the index behind its first byte, and compare it with the blocks that were there."""
    told = Records.zeroed()
    count = number(reader)
    if count != area.seen.count:
        raise BootError(f"xz: the index has {count} blocks, and the stream {area.seen.count}")
    for _ in range(count):
        packed = number(reader)
        add_record(area, told, packed, number(reader))
    if told.digest != area.seen.digest:
        raise BootError("xz: the index contradicts the blocks")
    take_zeros(reader, start)
    content = reader.source[start : reader.position]
    if Field.of(take(reader, 4)).value != crc32(area.crc32, content):
        raise BootError("xz: the index is damaged (CRC-32)")


@fn
def add_record(area: Work, records: Records, packed: u64, unpacked: u64) -> None:
    """Count a block, and add it to the digest."""
    records.latest.packed = packed
    records.latest.unpacked = unpacked
    records.count += 1
    records.digest = crc32(area.crc32, span[u8](address(records), sizeof(Records)))


@fn
def skip_padding(reader: Reader) -> None:
    """Pass over the zeros that may follow a stream."""
    while reader.position < len(reader.source) and reader.source[reader.position] == 0:
        for byte in take(reader, ALIGNMENT):
            if byte != 0:
                raise BootError("xz: impossible padding behind a stream")


@fn
def take_zeros(reader: Reader, start: usize) -> None:
    """Read the zeros that fill what began at `start` up to a multiple of ALIGNMENT."""
    while (reader.position - start) % ALIGNMENT != 0:
        if take(reader, 1)[0] != 0:
            raise BootError("xz: impossible padding")


@fn
def number(reader: Reader) -> u64:
    """A number of 7 bits a byte, the lowest first."""
    found: u64 = 0
    for index in range(NUMBER_BYTES):
        byte = take(reader, 1)[0]
        found |= u64(byte & 0x7F) << (7 * index)
        if byte & 0x80 == 0:
            if byte == 0 and index != 0:
                break
            return found
    raise BootError("xz: a number that is too long")


@fn(inline=False)
def take(reader: Reader, count: usize) -> span[u8]:
    """The next `count` bytes."""
    start = reader.position
    if start > len(reader.source) or count > len(reader.source) - start:
        raise BootError("xz: the data end too early")
    reader.position = start + count
    return reader.source[start : start + count]


XZ: Final = placed(".set.codecs.xz", Codec(id=CODEC_XZ, work_bytes=WORK_BYTES, name=text("xz"), decode=decode))

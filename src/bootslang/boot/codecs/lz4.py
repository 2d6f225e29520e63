"""LZ4: a chunk packed as one frame. Called by stage 4 for each such chunk, in 32 or 64 bits.

By the LZ4 frame format description 1.6.4. A frame is a header, blocks, and perhaps checksums (XXH32), which are
verified; here are these, lz4_blocks.py unpacks a block. The legacy frame is what Linux is packed in: a magic and blocks
of 8 MiB, without end and sums.

As `lz4` does, frames that follow each other are unpacked one after the other, and skippable frames are passed over;
anything else behind the last frame is an error. Dictionaries are refused.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.lz4_blocks import unpack_block
from bootslang.boot.codecs.registry import Codec
from bootslang.boot.disk import CODEC_LZ4
from bootslang.boot.lib.xxh32 import xxh32
from bootslang.slang import BootError, Struct, compile_for, fn, placed, span, text, u8, u32, u64, usize

compile_for("protected32", "long64")

MAGIC: Final = 0x184D_2204
LEGACY_MAGIC: Final = 0x184C_2102
SKIPPABLE_MAGIC: Final = 0x184D_2A50
"""With any lowest digit: data for somebody else."""
SKIPPABLE_MASK: Final = 0xFFFF_FFF0
LEGACY_BLOCK_BYTES: Final = 8 << 20
WORK_BYTES: Final = 0

VERSION: Final = 0x40
VERSION_MASK: Final = 0xC0
INDEPENDENT: Final = 0x20
BLOCK_CHECKSUMS: Final = 0x10
CONTENT_SIZE: Final = 0x08
CONTENT_CHECKSUM: Final = 0x04
DICTIONARY: Final = 0x01
RESERVED: Final = 0x02
"""A frame's first byte behind the magic."""
SIZE_SHIFT: Final = 4
SMALLEST_SIZE: Final = 4
SIZE_RESERVED: Final = 0x8F
"""Its second byte: the largest block has 256 bytes, four times for each step, so 4 means 64 KiB and 7 means 4 MiB."""
STORED: Final = 1 << 31
"""In a block's size: it is not packed."""


class State(Struct):
    """Where unpacking is."""

    source: span[u8]
    position: usize
    out: span[u8]
    written: usize


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:  # noqa: ARG001 - every codec has this signature
    """Unpack all of `packed` into exactly all of `out`."""
    state = State(source=packed, position=0, out=out, written=0)
    more = True
    while more:
        decode_frame(state)
        more = state.position < len(packed)
    if state.written != len(out):
        raise BootError(f"lz4: the data unpack to {state.written} bytes instead of {len(out)}")


@fn
def decode_frame(state: State) -> None:
    """Unpack the frame at `position`, of whichever kind, or pass over it."""
    start = state.position
    if len(state.source) - start < 4:
        raise BootError(f"lz4: no frame begins at byte {start}")
    magic = take(state)
    if magic == MAGIC:
        decode_blocks(state)
    elif magic == LEGACY_MAGIC:
        decode_legacy(state)
    elif magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC:
        size = take(state)
        skip(state, size)
    else:
        raise BootError(f"lz4: no frame begins at byte {start}")


@fn
def decode_blocks(state: State) -> None:
    """Unpack a frame behind its magic."""
    frame = state.written
    header = skip(state, 2)
    flags, sizes = header[0], header[1]
    content = read_header(state, flags, sizes)
    limit = usize(256) << ((sizes >> SIZE_SHIFT) * 2)
    while True:
        size = take(state)
        if size == 0:
            break
        stored = size & STORED != 0
        size &= ~u32(STORED)
        if size > limit:
            raise BootError(f"lz4: a block of {size} bytes; {limit} are the most")
        block = skip(state, size)
        if flags & BLOCK_CHECKSUMS != 0 and take(state) != xxh32(block):
            raise BootError(f"lz4: the block before byte {state.position} is damaged (checksum)")
        decode_block(state, block, stored, limit, state.written if flags & INDEPENDENT != 0 else frame)
    if flags & CONTENT_SIZE != 0 and state.written - frame != content:
        raise BootError(f"lz4: a frame unpacks to {state.written - frame} bytes instead of {content}")
    if flags & CONTENT_CHECKSUM != 0 and take(state) != xxh32(state.out[frame : state.written]):
        raise BootError(f"lz4: the bytes from {frame} to {state.written} are wrong (checksum)")


@fn
def read_header(state: State, flags: u8, sizes: u8) -> u64:
    """Check a frame's header, whose first two bytes have been read; return the content size, 0 if untold."""
    start = state.position - 2
    if flags & VERSION_MASK != VERSION:
        raise BootError(f"lz4: version {flags >> 6} of the format is not supported")
    if flags & RESERVED != 0 or sizes & SIZE_RESERVED != 0:
        raise BootError("lz4: a frame's header has reserved bits set")
    if sizes >> SIZE_SHIFT < SMALLEST_SIZE:
        raise BootError(f"lz4: impossible block size {sizes >> SIZE_SHIFT}")
    content: u64 = 0
    if flags & CONTENT_SIZE != 0:
        low = take(state)
        content = u64(take(state)) << 32 | low
    identifier: u32 = 0
    if flags & DICTIONARY != 0:
        identifier = take(state)
    checksum = u8(xxh32(state.source[start : state.position]) >> 8)
    if skip(state, 1)[0] != checksum:
        raise BootError("lz4: a frame's header is damaged (checksum)")
    if flags & DICTIONARY != 0:
        raise BootError(f"lz4: dictionaries are not supported (it asks for number {identifier})")
    if content > len(state.out) - state.written:
        raise BootError(f"lz4: the data unpack to more than {len(state.out)} bytes")
    return content


@fn
def decode_legacy(state: State) -> None:
    """Unpack a legacy frame behind its magic: up to the end, or to what is no size of a block but a magic."""
    while state.position < len(state.source):
        start = state.position
        size = take(state)
        if size & SKIPPABLE_MASK == SKIPPABLE_MAGIC or size in (MAGIC, LEGACY_MAGIC):
            state.position = start
            return
        block = skip(state, size)
        decode_block(state, block, False, LEGACY_BLOCK_BYTES, state.written)


@fn
def decode_block(state: State, block: span[u8], stored: bool, limit: usize, origin: usize) -> None:
    """Append a block of at most `limit` unpacked bytes, whose matches reach back to `origin`."""
    room = min(len(state.out) - state.written, limit)
    end = state.written + room
    if not stored:
        state.written = unpack_block(block, state.out[:end], state.written, origin)
        return
    if len(block) > room:
        raise BootError(f"lz4: the data unpack to more than {len(state.out)} bytes")
    end = state.written + len(block)
    state.out[state.written : end] = block
    state.written = end


@fn
def take(state: State) -> u32:
    """The next number of four bytes."""
    part = skip(state, 4)
    return part[0] | u32(part[1]) << 8 | u32(part[2]) << 16 | u32(part[3]) << 24


@fn(inline=False)
def skip(state: State, count: u32) -> span[u8]:
    """The next `count` bytes."""
    if count > len(state.source) - state.position:
        raise BootError("lz4: the data end too early")
    part = state.source[state.position : state.position + count]
    state.position += count
    return part


LZ4: Final = placed(".set.codecs.lz4", Codec(id=CODEC_LZ4, work_bytes=WORK_BYTES, name=text("lz4"), decode=decode))

"""gzip: a chunk packed as a gzip file. Called by stage 4 for each such chunk, in 32 or 64 bits.

By RFC 1952. A member is a header, a stream of deflate, and the CRC-32 and size of what it unpacks to, both of which are
verified, as is the header's CRC-16 where there is one. Members that follow each other are unpacked one after the other;
anything else behind the last one is an error.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.crc import Crc32Tables, crc32, make_crc32_tables
from bootslang.boot.codecs.inflate import inflate
from bootslang.boot.codecs.inflate_symbols import State
from bootslang.boot.codecs.inflate_tables import Work as InflateWork  # noqa: TC001 - the compiler looks it up
from bootslang.boot.codecs.registry import Codec
from bootslang.boot.disk import CODEC_GZIP
from bootslang.slang import BootError, Struct, be, compile_for, fn, placed, sizeof, span, text, u8, u16, u32, usize

compile_for("protected32", "long64")

MAGIC: Final = 0x1F8B
DEFLATED: Final = 8
HEADER_CRC: Final = 0x02
EXTRA: Final = 0x04
NAME: Final = 0x08
COMMENT: Final = 0x10
RESERVED: Final = 0xE0
"""Flags."""


class Header(Struct):
    magic: be[u16]
    method: u8
    flags: u8
    time: u32
    level: u8
    system: u8


class Trailer(Struct):
    checksum: u32
    size: u32


class Short(Struct):
    value: u16


class Work(Struct):
    """The memory that decoding takes."""

    inflate: InflateWork
    crc: Crc32Tables


WORK_BYTES: Final = sizeof(Work)


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """Unpack all of `packed` into exactly all of `out`; `work` is at least WORK_BYTES."""
    area = Work.of(work)
    make_crc32_tables(area.crc)
    state = State(source=packed, position=0, window=0, held=0, out=out, written=0, origin=0)
    more = True
    while more:
        decode_member(state, area)
        more = state.position < len(packed)
    if state.written != len(out):
        raise BootError(f"gzip: the data unpack to {state.written} bytes instead of {len(out)}")


@fn
def decode_member(state: State, area: Work) -> None:
    """Unpack the member at `position`."""
    pass_header(state, area)
    start = state.written
    inflate(state, area.inflate)
    trailer = Trailer.of(take(state, sizeof(Trailer)))
    if trailer.checksum != crc32(area.crc, state.out[start : state.written]):
        raise BootError(f"gzip: the bytes from {start} to {state.written} are wrong (CRC-32)")
    if trailer.size != u32(state.written - start):
        raise BootError(f"gzip: a member unpacks to {state.written - start} bytes instead of {trailer.size}")


@fn
def pass_header(state: State, area: Work) -> None:
    """Go to the stream behind a member's header."""
    start = state.position
    if len(state.source) - start < sizeof(u16):
        raise BootError(f"gzip: no member begins at byte {start}")
    if state.source[start] != MAGIC >> 8 or state.source[start + 1] != MAGIC & 0xFF:
        raise BootError(f"gzip: no member begins at byte {start}")
    header = Header.of(take(state, sizeof(Header)))
    flags = header.flags
    if header.method != DEFLATED:
        raise BootError(f"gzip: method {header.method} is not supported")
    if flags & RESERVED != 0:
        raise BootError("gzip: a header with reserved bits set")
    if flags & EXTRA != 0:
        size = Short.of(take(state, sizeof(Short))).value
        take(state, size)
    if flags & NAME != 0:
        pass_text(state)
    if flags & COMMENT != 0:
        pass_text(state)
    if flags & HEADER_CRC != 0:
        checksum = u16(crc32(area.crc, state.source[start : state.position]))
        if Short.of(take(state, sizeof(Short))).value != checksum:
            raise BootError("gzip: a header is damaged (CRC-16)")


@fn
def pass_text(state: State) -> None:
    """Pass over a text and the zero that ends it."""
    while take(state, 1)[0] != 0:
        pass


@fn(inline=False)
def take(state: State, count: usize) -> span[u8]:
    """The next `count` bytes."""
    if count > len(state.source) - state.position:
        raise BootError("gzip: the data end too early")
    part = state.source[state.position : state.position + count]
    state.position += count
    return part


GZIP: Final = placed(".set.codecs.gzip", Codec(id=CODEC_GZIP, work_bytes=WORK_BYTES, name=text("gzip"), decode=decode))

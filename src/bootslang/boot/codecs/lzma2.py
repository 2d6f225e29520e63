"""LZMA2: LZMA symbols in chunks, each of which says its sizes. Called by xz.py for each block, in 32 or 64 bits.

A control byte begins a chunk: the end, stored bytes, or symbols, for which it also says what is forgotten before them.
Source: lzma2_decoder.c of liblzma and xz_dec_lzma2.c of Linux; the format has no other definition.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.lzma_symbols import (
    INIT_BYTES,
    MARGIN,
    Decoder,
    decode_symbols,
    reset_state,
    set_properties,
    start_range,
)
from bootslang.slang import BootError, Struct, be, compile_for, fn, sizeof, span, u8, u16, u32, usize

compile_for("protected32", "long64")

END: Final = 0
STORED_AND_RESET: Final = 1
"""Stored bytes; nothing before them is referred to from here on."""
STORED: Final = 2
SYMBOLS: Final = 0x80
"""Or more: symbols. The low 5 bits are the highest of the unpacked size, less one."""
SIZE_BITS: Final = 0x1F
RESET_STATE: Final = 1
RESET_PROPERTIES: Final = 2
RESET_ALL: Final = 3
"""In bits 5 and 6 of a chunk with symbols; each forgets what those below forget, and the last one the window."""


class StoredHead(Struct):
    control: u8
    size: be[u16]
    """Less one."""


class SymbolsHead(Struct):
    control: u8
    unpacked: be[u16]
    """The low bits of the size, less one."""
    packed: be[u16]
    """The size, less one."""


@fn
def decode_chunks(decoder: Decoder, packed: span[u8], position: usize, out: span[u8], written: usize) -> None:
    """Unpack chunks up to the end; the decoder tells what is taken and written then."""
    decoder.position = position
    decoder.written = written
    decoder.ended = False
    needs = RESET_ALL
    while True:
        control = u32(chunk_bytes(packed, decoder.position, 1)[0])
        if control == END:
            decoder.position += 1
            return
        if control < SYMBOLS:
            if control > STORED:
                raise BootError(f"lzma: a chunk with the impossible control byte {control:#x}")
            if control == STORED_AND_RESET:
                decoder.origin = decoder.written
                needs = RESET_PROPERTIES
            elif needs == RESET_ALL:
                raise BootError("lzma: the first chunk does not reset the dictionary")
            copy_stored(decoder, packed, out)
            continue
        forgets = control >> 5 & 3
        if forgets < needs:
            raise BootError("lzma: a chunk lacks the reset that it needs")
        needs = 0
        if forgets == RESET_ALL:
            decoder.origin = decoder.written
        decode_chunk(decoder, packed, out, forgets)


@fn
def chunk_bytes(packed: span[u8], position: usize, count: usize) -> span[u8]:
    """The next bytes; that many are there."""
    if position > len(packed) or count > len(packed) - position:
        raise BootError("lzma: the data end too early")
    return packed[position : position + count]


@fn
def room(out: span[u8], written: usize, count: usize) -> usize:
    """Where a chunk of `count` bytes ends."""
    if count > len(out) - written:
        raise BootError(f"lzma: the data unpack to more than {len(out)} bytes")
    return written + count


@fn
def copy_stored(decoder: Decoder, packed: span[u8], out: span[u8]) -> None:
    """Take a chunk that holds its bytes as they are."""
    head = StoredHead.of(chunk_bytes(packed, decoder.position, sizeof(StoredHead)))
    start = decoder.position + sizeof(StoredHead)
    count = usize(head.size) + 1
    end = room(out, decoder.written, count)
    out[decoder.written : end] = chunk_bytes(packed, start, count)
    decoder.position = start + count
    decoder.written = end


@fn
def decode_chunk(decoder: Decoder, packed: span[u8], out: span[u8], forgets: u32) -> None:
    """Unpack a chunk with symbols."""
    head = SymbolsHead.of(chunk_bytes(packed, decoder.position, sizeof(SymbolsHead)))
    start = decoder.position + sizeof(SymbolsHead)
    unpacked = (usize(head.control & SIZE_BITS) << 16 | head.unpacked) + 1
    size = usize(head.packed) + 1
    if forgets >= RESET_PROPERTIES:
        set_properties(decoder, chunk_bytes(packed, start, 1)[0])
        start += 1
    if forgets != 0:
        reset_state(decoder)
    # Index and footer follow in every file, so that the symbols of a chunk end MARGIN bytes before it does.
    chunk_bytes(packed, start, size + MARGIN)
    if size < INIT_BYTES:
        raise BootError(f"lzma: a chunk of {size} bytes")
    start_range(decoder, packed, start)
    end = room(out, decoder.written, unpacked)
    decode_symbols(decoder, packed, start + size, out[:end], end)
    if decoder.ended:
        raise BootError("lzma: an end mark inside of a chunk")
    if decoder.written != end or decoder.position != start + size or decoder.code != 0:
        raise BootError(f"lzma: a chunk does not end where it says, at byte {start + size}")

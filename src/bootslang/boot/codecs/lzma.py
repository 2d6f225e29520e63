"""lzma: a chunk packed as one `.lzma` file, which the LZMA SDK calls alone. Called by stage 4, in 32 or 64 bits.

By the LZMA specification of the LZMA SDK (2015): a byte for lc, lp and pb, the size of the dictionary, the size of
the data, and symbols. The size may be unknown; then a mark ends the data, which it may do otherwise as well. There is
no checksum. As in liblzma, lc + lp is at most 4; unlike there, the size of the dictionary means nothing, as the whole
output is there to be referred to. The file has to end with the packed bytes.
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
from bootslang.boot.codecs.registry import Codec
from bootslang.boot.disk import CODEC_LZMA
from bootslang.slang import (
    BootError,
    Struct,
    array,
    checked,
    compile_for,
    fn,
    length,
    placed,
    sizeof,
    span,
    text,
    u8,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

UNKNOWN_SIZE: Final = 2**64 - 1


class Header(Struct):
    properties: u8
    dictionary_bytes: u32
    size: u64


class Work(Struct):
    """The memory that decoding takes; nothing in it outlives a call."""

    decoder: Decoder
    tail: array[u8] = length(2 * MARGIN)
    """The last bytes, and MARGIN zeros."""


HEADER_BYTES: Final = sizeof(Header)
WORK_BYTES: Final = sizeof(Work)


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """Unpack all of `packed` into exactly all of `out`; `work` is at least WORK_BYTES."""
    area = Work.of(work)
    decoder = area.decoder
    if len(packed) < HEADER_BYTES + INIT_BYTES:
        raise BootError("lzma: the data end too early")
    header = Header.of(packed)
    known = header.size != UNKNOWN_SIZE
    if known and header.size != len(out):
        raise BootError(f"lzma: the data unpack to {header.size} bytes instead of {len(out)}")
    set_properties(decoder, header.properties)
    reset_state(decoder)
    start_range(decoder, packed, HEADER_BYTES)
    decoder.origin = 0
    decoder.written = 0
    decoder.ended = False
    if known:
        advance(area, packed, out, len(out))
    if not known or (decoder.code != 0 and not decoder.ended):
        advance(area, packed, out, checked(len(out) + 1))
    if decoder.written != len(out):
        raise BootError(f"lzma: the data unpack to {decoder.written} bytes instead of {len(out)}")
    if decoder.code != 0:
        raise BootError("lzma: the data are damaged: the range coder does not end as it should")
    if decoder.position != len(packed):
        raise BootError(f"lzma: {len(packed) - decoder.position} bytes follow the data")


@fn
def advance(area: Work, packed: span[u8], out: span[u8], end: usize) -> None:
    """Unpack up to `end` bytes or up to the mark: from a copy with zeros behind it where the packed bytes run out."""
    decoder = area.decoder
    if len(packed) >= MARGIN and decoder.position <= len(packed) - MARGIN:
        decode_symbols(decoder, packed, len(packed) - MARGIN, out, end)
        if decoder.ended or decoder.position <= len(packed) - MARGIN:
            return
    start = decoder.position
    rest = packed[start:]
    area.tail.fill(0)
    area.tail[: len(rest)] = rest
    decoder.position = 0
    decode_symbols(decoder, area.tail, len(rest), out, end)
    if decoder.position > len(rest):
        raise BootError("lzma: the data end too early")
    decoder.position += start


LZMA: Final = placed(".set.codecs.lzma", Codec(id=CODEC_LZMA, work_bytes=WORK_BYTES, name=text("lzma"), decode=decode))

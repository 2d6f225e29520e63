"""deflate: a chunk packed as one stream of RFC 1951, with nothing around it. Called by stage 4, in 32 or 64 bits.

There is no checksum. Nothing may follow the stream but the bits that fill its last byte, whose values do not matter.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.inflate import inflate
from bootslang.boot.codecs.inflate_symbols import State
from bootslang.boot.codecs.inflate_tables import Work
from bootslang.boot.codecs.registry import Codec
from bootslang.boot.disk import CODEC_DEFLATE
from bootslang.slang import BootError, compile_for, fn, placed, sizeof, span, text, u8

compile_for("protected32", "long64")

WORK_BYTES: Final = sizeof(Work)


@fn
def decode(packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """Unpack all of `packed` into exactly all of `out`; `work` is at least WORK_BYTES."""
    state = State(source=packed, position=0, window=0, held=0, out=out, written=0, origin=0)
    inflate(state, Work.of(work))
    if state.written != len(out):
        raise BootError(f"deflate: the data unpack to {state.written} bytes instead of {len(out)}")
    if state.position != len(packed):
        raise BootError(f"deflate: {len(packed) - state.position} bytes follow the data")


DEFLATE: Final = placed(
    ".set.codecs.deflate", Codec(id=CODEC_DEFLATE, work_bytes=WORK_BYTES, name=text("deflate"), decode=decode)
)

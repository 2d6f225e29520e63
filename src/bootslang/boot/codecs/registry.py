"""The codecs that chunks may be packed with, by the number that stands in a chunk record.

Stage 4 looks a codec up here. A codec is a function `(packed, out, work)`: it fills all of `out` from all of `packed`,
or raises a BootError; `work` is memory of at least `work_bytes` whose contents do not matter. To add one, write its
file beside this one and its line in `find`.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - the compiler resolves names at run time

from bootslang.boot.codecs import bzip2
from bootslang.boot.disk import CODEC_BZIP2, CODEC_NONE
from bootslang.slang import BootError, Struct, compile_for, fn, span, text, u8, u16, u32

compile_for("protected32", "long64")


class Codec(Struct):
    """One way to unpack a chunk."""

    id: u32
    """CODEC_… of boot/disk.py."""
    work_bytes: u32
    """The least size of the work span."""
    name: span[u8]
    """As users write it."""
    decode: Callable[[span[u8], span[u8], span[u8]], None]
    """(packed, out, work)"""


@fn
def find(number: u16, into: Codec) -> None:
    """Fill `into` with the codec that a chunk record numbers."""
    into.id = number
    if number == CODEC_NONE:
        fill_in(into, text("none"), 0, copy)
    elif number == CODEC_BZIP2:
        fill_in(into, text("bzip2"), bzip2.WORK_BYTES, bzip2.decode)
    else:
        raise BootError(f"codec {number} is not part of this loader")


@fn
def fill_in(
    codec: Codec, name: span[u8], work_bytes: u32, decode: Callable[[span[u8], span[u8], span[u8]], None]
) -> None:
    codec.name = name
    codec.work_bytes = work_bytes
    codec.decode = decode


@fn
def copy(packed: span[u8], out: span[u8], work: span[u8]) -> None:  # noqa: ARG001 - every codec has this signature
    """The codec `none`: the chunk's bytes are the blob's bytes."""
    if len(packed) != len(out):
        raise BootError(f"an unpacked chunk has {len(packed)} bytes instead of {len(out)}")
    out[:] = packed

"""The codecs that this loader has, by the number that stands in a chunk record.

A codec is a function `(packed, out, work)`: it fills all of `out` from all of `packed`, or raises a BootError; `work`
is memory of at least `work_bytes` whose contents do not matter. A codec's file places its `Codec` in a section
`.set.codecs.NAME`; the linker makes one table of those that a disk needs, and stage 4 looks them up here.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - the compiler looks names up when it runs
from typing import Final

from bootslang.boot.disk import CODEC_NONE
from bootslang.slang import BootError, Struct, compile_for, fn, linked, placed, span, text, u8, u32

compile_for("protected32", "long64")


class Codec(Struct):
    """One way to unpack a chunk."""

    id: u32
    """CODEC_… of boot/disk.py."""
    work_bytes: u32
    """The least size of the work span; 0 if there is no need of one."""
    name: span[u8]
    """As users write it."""
    decode: Callable[[span[u8], span[u8], span[u8]], None]
    """(packed, out, work)"""


@fn
def find(number: u32) -> Codec:
    """The codec that chunk records mean by `number`; one that was not linked is an error."""
    for codec in linked(Codec, "codecs"):
        if codec.id == number:
            return codec
    raise BootError(f"this loader lacks codec {number}")


@fn
def is_linked(number: u32) -> bool:
    """Tell whether `find` would find it."""
    for codec in linked(Codec, "codecs"):
        if codec.id == number:
            return True
    return False


@fn
def copy(packed: span[u8], out: span[u8], work: span[u8]) -> None:  # noqa: ARG001 - every codec has this signature
    """The codec `none`: the chunk's bytes are the blob's bytes."""
    if len(packed) != len(out):
        raise BootError(f"an unpacked chunk has {len(packed)} bytes instead of {len(out)}")
    out[:] = packed


NONE: Final = placed(".set.codecs.none", Codec(id=CODEC_NONE, work_bytes=0, name=text("none"), decode=copy))

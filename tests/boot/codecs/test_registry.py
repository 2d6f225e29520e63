"""Does a chunk's codec number lead to the right decoder?"""

from __future__ import annotations

from importlib import import_module

import pytest

from bootslang.boot.codecs import bzip2, lzma, registry, xz
from bootslang.boot.disk import CODEC_BZIP2, CODEC_LZMA, CODEC_NONE, CODEC_XZ
from bootslang.rocket import BOOT, CODECS
from bootslang.slang import BootError, fn, linked, span, u8, u32, usize
from support.guarded import Guarded

for name in CODECS:
    import_module(f"{BOOT}.codecs.{name}")


@fn
def unpack_by_number(number: u32, packed: span[u8], out: span[u8], work: span[u8]) -> None:
    """What stage 4 does with a chunk."""
    codec = registry.find(number)
    codec.decode(packed, out, work)


@fn
def work_bytes_of(number: u32) -> u32:
    return registry.find(number).work_bytes


@fn
def codec_count() -> usize:
    return len(linked(registry.Codec, "codecs"))


def test_none_copies() -> None:
    out = Guarded(5)
    unpack_by_number(CODEC_NONE, span(b"bytes"), out.span, span(bytearray()))
    assert out.data == b"bytes"
    assert work_bytes_of(CODEC_NONE) == 0


@pytest.mark.parametrize("size", [0, 4, 6])
def test_none_refuses_another_size(size: int) -> None:
    out = Guarded(size)
    with pytest.raises(BootError, match=f"an unpacked chunk has 5 bytes instead of {size}"):
        unpack_by_number(CODEC_NONE, span(b"bytes"), out.span, span(bytearray()))
    assert out.data == b"\xa5" * size


def test_bzip2_is_found_by_its_number() -> None:
    import bz2

    out = Guarded(5)
    unpack_by_number(CODEC_BZIP2, span(bz2.compress(b"bytes")), out.span, span(bytearray(bzip2.WORK_BYTES)))
    assert out.data == b"bytes"
    assert work_bytes_of(CODEC_BZIP2) == bzip2.WORK_BYTES


def test_xz_and_lzma_are_found_by_their_numbers() -> None:
    assert work_bytes_of(CODEC_XZ) == xz.WORK_BYTES
    assert work_bytes_of(CODEC_LZMA) == lzma.WORK_BYTES


def test_an_unknown_number_is_an_error() -> None:
    with pytest.raises(BootError, match="this loader lacks codec 99"):
        work_bytes_of(99)


def test_every_codec_is_in_the_table_once() -> None:
    assert codec_count() == 1 + len(CODECS)

"""The C libraries of the formats, called without a detour: what the decoders are measured against.

Each function here gives another one, which unpacks some bytes into a buffer of just the right size; None where the
library is not installed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffer: TypeAlias = ctypes.Array[ctypes.c_char]
    Unpack: TypeAlias = Callable[[bytes, Buffer], None]

NO_LIMIT: Final = 2**64 - 1
LZMA_FINISH: Final = 3
LZMA_STREAM_END: Final = 1


def library(name: str) -> ctypes.CDLL | None:
    path = ctypes.util.find_library(name)
    return None if path is None else ctypes.CDLL(path)


def expect(found: tuple[int, int], right: tuple[int, int]) -> None:
    """A status and a size: a failure has no speed."""
    if found != right:
        message = f"the C library gives {found} instead of {right}"
        raise RuntimeError(message)


def bzip2() -> Unpack | None:
    libbz2 = library("bz2")
    if libbz2 is None:
        return None

    def unpack(source: bytes, buffer: Buffer) -> None:
        size = ctypes.c_uint(len(buffer))
        status = libbz2.BZ2_bzBuffToBuffDecompress(buffer, ctypes.byref(size), source, len(source), 0, 0)
        expect((status, size.value), (0, len(buffer)))

    return unpack


def xz() -> Unpack | None:
    liblzma = library("lzma")
    if liblzma is None:
        return None
    liblzma.lzma_stream_buffer_decode.argtypes = [
        ctypes.POINTER(ctypes.c_uint64),
        ctypes.c_uint32,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_size_t),
        ctypes.c_size_t,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_size_t),
        ctypes.c_size_t,
    ]

    def unpack(source: bytes, buffer: Buffer) -> None:
        limit, taken, written = ctypes.c_uint64(NO_LIMIT), ctypes.c_size_t(0), ctypes.c_size_t(0)
        status = liblzma.lzma_stream_buffer_decode(
            ctypes.byref(limit),
            0,
            None,
            source,
            ctypes.byref(taken),
            len(source),
            buffer,
            ctypes.byref(written),
            len(buffer),
        )
        expect((status, written.value), (0, len(buffer)))

    return unpack


class LzmaStream(ctypes.Structure):
    """`lzma_stream` of lzma/base.h; what is zero at first and none of ours is `rest`."""

    _fields_: ClassVar[Any] = [
        ("next_in", ctypes.c_char_p),
        ("avail_in", ctypes.c_size_t),
        ("total_in", ctypes.c_uint64),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_size_t),
        ("rest", ctypes.c_char * 96),
    ]


def lzma() -> Unpack | None:
    liblzma = library("lzma")
    if liblzma is None:
        return None
    liblzma.lzma_alone_decoder.argtypes = [ctypes.POINTER(LzmaStream), ctypes.c_uint64]

    def unpack(source: bytes, buffer: Buffer) -> None:
        stream = LzmaStream(next_in=source, avail_in=len(source), avail_out=len(buffer))
        stream.next_out = ctypes.addressof(buffer)
        liblzma.lzma_alone_decoder(ctypes.byref(stream), NO_LIMIT)
        status = liblzma.lzma_code(ctypes.byref(stream), LZMA_FINISH)
        liblzma.lzma_end(ctypes.byref(stream))
        expect((status, stream.avail_out), (LZMA_STREAM_END, 0))

    return unpack

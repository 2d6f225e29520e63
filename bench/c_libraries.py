"""The C libraries that the decoders are compared with, called without a detour through Python's modules.

Each function finds its library and returns what unpacks one chunk: all of the source into exactly all of the buffer. It
fails if they do not fit. A library that this computer lacks is an error: nothing else is a comparison.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import TypeAlias

Buffer: TypeAlias = "ctypes.Array[ctypes.c_char]"
Unpack: TypeAlias = Callable[[bytes, Buffer], None]


def buffer(size: int) -> Buffer:
    """Room for a chunk, as these functions take it."""
    return (ctypes.c_char * size)()


def bzip2() -> Unpack:
    decompress = library("bz2").BZ2_bzBuffToBuffDecompress

    def unpack(source: bytes, out: Buffer) -> None:
        size = ctypes.c_uint(len(out))
        status = decompress(out, ctypes.byref(size), source, len(source), 0, 0)
        check((status, size.value) == (0, len(out)))

    return unpack


def zstd() -> Unpack:
    found = library("zstd")
    found.ZSTD_createDCtx.restype = ctypes.c_void_p
    decompress = found.ZSTD_decompressDCtx
    decompress.restype = ctypes.c_size_t
    decompress.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    context = found.ZSTD_createDCtx()

    def unpack(source: bytes, out: Buffer) -> None:
        check(decompress(context, out, len(out), source, len(source)) == len(out))

    return unpack


def library(name: str) -> ctypes.CDLL:
    path = ctypes.util.find_library(name)
    if path is None:
        raise FileNotFoundError(f"the C library {name} is not installed")
    return ctypes.CDLL(path)


def check(holds: bool) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise RuntimeError("the C library could not unpack what was packed")

"""The C libraries that the decoders are compared with, called without a detour through Python's modules.

Each function finds its library and returns what unpacks one chunk: all of the source into exactly all of the buffer. It
fails if they do not fit. A library that this computer lacks is an error: nothing else is a comparison.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

Buffer: TypeAlias = "ctypes.Array[ctypes.c_char]"
Unpack: TypeAlias = Callable[[bytes, Buffer], None]

NO_LIMIT: Final = 2**64 - 1
LZMA_FINISH: Final = 3
LZMA_STREAM_END: Final = 1
Z_FINISH: Final = 4
Z_STREAM_END: Final = 1
RAW_DEFLATE: Final = -15
IN_GZIP: Final = 31
LZ4F_VERSION: Final = 100


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


class ZStream(ctypes.Structure):
    """`z_stream` of zlib.h; `rest` is what we leave zero."""

    _fields_: ClassVar = [
        ("next_in", ctypes.c_char_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("rest", ctypes.c_char * 64),
    ]


def zlib(window_bits: int) -> Unpack:
    found = library("z")
    found.zlibVersion.restype = ctypes.c_char_p
    stream = ZStream()
    version = found.zlibVersion()
    check(found.inflateInit2_(ctypes.byref(stream), window_bits, version, ctypes.sizeof(stream)) == 0)

    def unpack(source: bytes, out: Buffer) -> None:
        stream.next_in, stream.avail_in = source, len(source)
        stream.next_out, stream.avail_out = ctypes.addressof(out), len(out)
        check(found.inflateReset(ctypes.byref(stream)) == 0)
        status = found.inflate(ctypes.byref(stream), Z_FINISH)
        check((status, stream.avail_in, stream.avail_out) == (Z_STREAM_END, 0, 0))

    return unpack


def deflate() -> Unpack:
    return zlib(RAW_DEFLATE)


def gzip() -> Unpack:
    return zlib(IN_GZIP)


def xz() -> Unpack:
    decompress = library("lzma").lzma_stream_buffer_decode
    size = ctypes.POINTER(ctypes.c_size_t)
    limit = ctypes.POINTER(ctypes.c_uint64)
    source_end, out_end = ctypes.c_size_t, ctypes.c_size_t
    decompress.argtypes = (
        *(limit, ctypes.c_uint32, ctypes.c_void_p),
        *(ctypes.c_char_p, size, source_end),
        *(ctypes.c_void_p, size, out_end),
    )

    def unpack(source: bytes, out: Buffer) -> None:
        memory, taken, written = ctypes.c_uint64(NO_LIMIT), ctypes.c_size_t(0), ctypes.c_size_t(0)
        places = ctypes.byref(taken), ctypes.byref(written)
        status = decompress(ctypes.byref(memory), 0, None, source, places[0], len(source), out, places[1], len(out))
        check((status, written.value) == (0, len(out)))

    return unpack


class LzmaStream(ctypes.Structure):
    """`lzma_stream` of liblzma's lzma/base.h; `rest` is what we leave zero."""

    _fields_: ClassVar = [
        ("next_in", ctypes.c_char_p),
        ("avail_in", ctypes.c_size_t),
        ("total_in", ctypes.c_uint64),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_size_t),
        ("rest", ctypes.c_char * 96),
    ]


def lzma() -> Unpack:
    found = library("lzma")
    found.lzma_alone_decoder.argtypes = (ctypes.POINTER(LzmaStream), ctypes.c_uint64)

    def unpack(source: bytes, out: Buffer) -> None:
        stream = LzmaStream(next_in=source, avail_in=len(source), avail_out=len(out))
        stream.next_out = ctypes.addressof(out)
        found.lzma_alone_decoder(ctypes.byref(stream), NO_LIMIT)
        status = found.lzma_code(ctypes.byref(stream), LZMA_FINISH)
        found.lzma_end(ctypes.byref(stream))
        check((status, stream.avail_out) == (LZMA_STREAM_END, 0))

    return unpack


class Lz4Options(ctypes.Structure):
    """`LZ4F_decompressOptions_t` of lz4frame.h; `rest` is what we leave zero."""

    _fields_: ClassVar = [("stable_out", ctypes.c_uint), ("rest", ctypes.c_uint * 3)]


def lz4() -> Unpack:
    """Told that the output stays where it is, which saves the library a copy of it."""
    found = library("lz4")
    context = ctypes.c_void_p()
    check(found.LZ4F_createDecompressionContext(ctypes.byref(context), LZ4F_VERSION) == 0)
    size = ctypes.POINTER(ctypes.c_size_t)
    decompress = found.LZ4F_decompress
    decompress.restype = ctypes.c_size_t
    decompress.argtypes = (
        *(ctypes.c_void_p, ctypes.c_void_p, size, ctypes.c_char_p, size),
        ctypes.POINTER(Lz4Options),
    )
    options = Lz4Options(stable_out=1)

    def unpack(source: bytes, out: Buffer) -> None:
        written, taken = ctypes.c_size_t(len(out)), ctypes.c_size_t(len(source))
        places = ctypes.byref(written), ctypes.byref(taken)
        left = decompress(context, out, places[0], source, places[1], ctypes.byref(options))
        check((left, written.value, taken.value) == (0, len(out), len(source)))

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

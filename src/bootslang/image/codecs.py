"""The packers: what turns a chunk's bytes into fewer, and back.

The builder packs, `verify` unpacks. A codec is one line in `CODECS`; its decompressor for the machine stands in
`bootslang.boot.codecs`. A codec sees one chunk at a time, so everything here is at most 1 MiB.
"""

import bz2
import importlib
import lzma
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from bootslang.errors import FormatInvalid, ToolMissing, UsageError
from bootslang.image.format import (
    CHUNK_BYTES,
    CODEC_BZIP2,
    CODEC_DEFLATE,
    CODEC_GZIP,
    CODEC_LZ4,
    CODEC_LZMA,
    CODEC_NONE,
    CODEC_XZ,
    CODEC_ZSTD,
)
from bootslang.kernel.payload import zstd_module

ZSTD_LEVEL: Final = 19
"""The smallest that does not ask for more memory; unpacking is about as fast at all levels."""
LZ4_LEVEL: Final = 12
"""The smallest there is."""
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Codec:
    """A way to pack a chunk; `number` is what its records carry."""

    name: str
    number: int
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]
    """Takes the packed bytes and the most that may come out."""


_LZMA_BYTES_MAX: Final = 256 << 20
"""A damaged header may ask for a dictionary of 4 GiB."""


def _stored(data: bytes, _limit: int = 0) -> bytes:
    return data


def _bunzip2(data: bytes, limit: int) -> bytes:
    """One bzip2 stream with nothing after it."""
    decompressor = bz2.BZ2Decompressor()
    try:
        unpacked = decompressor.decompress(data, max_length=limit + 1)
    except OSError as error:
        raise FormatInvalid(f"bzip2: {error}") from error
    if len(unpacked) <= limit and not decompressor.eof:
        raise FormatInvalid("bzip2: the stream ends too early")
    if decompressor.unused_data:
        raise FormatInvalid(f"bzip2: {len(decompressor.unused_data)} bytes follow the stream")
    return unpacked


_RAW: Final = -15
_IN_GZIP: Final = 31
"""What zlib calls `wbits`: a window of 32 KiB, and what is around the stream."""
_GZIP_HEADER: Final = bytes.fromhex("1f8b 08 00 00000000 02 ff")
"""deflate, no flags, no time, packed as small as can be, no system's name: the same everywhere."""


def _deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=_RAW)
    return compressor.compress(data) + compressor.flush()


def _gzip(data: bytes) -> bytes:
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return _GZIP_HEADER + _deflate(data) + trailer


def _inflate(name: str, wbits: int, data: bytes, limit: int) -> bytes:
    """One stream, raw or in a member of gzip, with nothing after it."""
    decompressor = zlib.decompressobj(wbits)
    try:
        unpacked = decompressor.decompress(data, limit + 1)
    except zlib.error as error:
        raise FormatInvalid(f"{name}: {error}") from error
    if len(unpacked) <= limit and not decompressor.eof:
        raise FormatInvalid(f"{name}: the data end too early")
    if decompressor.unused_data:
        raise FormatInvalid(f"{name}: {len(decompressor.unused_data)} bytes follow the data")
    return unpacked


_PRESET: Final = {"preset": 9, "dict_size": CHUNK_BYTES}
"""A chunk is all that there is to refer to. No sums: chunks have their own."""


def _xz(data: bytes) -> bytes:
    """With the x86 filter, which makes kernels and programs smaller and hardly ever harms other data."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, **_PRESET}]
    return lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)


def _lzma(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, **_PRESET}])


def _unxz(name: str, container: int, data: bytes, limit: int) -> bytes:
    """One file in one of the two formats of LZMA with nothing after it."""
    try:
        decompressor = lzma.LZMADecompressor(container, memlimit=_LZMA_BYTES_MAX)
        unpacked = decompressor.decompress(data, max_length=limit + 1)
    except lzma.LZMAError as error:
        raise FormatInvalid(f"{name}: {error}") from error
    if len(unpacked) <= limit and not decompressor.eof:
        raise FormatInvalid(f"{name}: the file ends too early")
    if decompressor.unused_data:
        raise FormatInvalid(f"{name}: {len(decompressor.unused_data)} bytes follow the file")
    return unpacked


def _lz4() -> Any:
    """The module that speaks LZ4's frames."""
    try:
        return importlib.import_module("lz4.frame")
    except ImportError:
        raise ToolMissing(
            "The codec lz4 needs a library that is not installed.", hint="Install it: `pip install lz4`."
        ) from None


def _pack_lz4(data: bytes) -> bytes:
    """One frame of one block: a chunk is no larger."""
    module = _lz4()
    packed: bytes = module.compress(data, compression_level=LZ4_LEVEL, block_size=module.BLOCKSIZE_MAX1MB)
    return packed


def _unlz4(data: bytes, limit: int) -> bytes:
    """One frame with nothing after it."""
    decompressor = _lz4().LZ4FrameDecompressor()
    try:
        unpacked: bytes = decompressor.decompress(data, max_length=limit + 1)
    except RuntimeError as error:
        raise FormatInvalid(f"lz4: {error}") from error
    if len(unpacked) <= limit and not decompressor.eof:
        raise FormatInvalid("lz4: the frame ends too early")
    if decompressor.unused_data:
        raise FormatInvalid(f"lz4: {len(decompressor.unused_data)} bytes follow the frame")
    return unpacked


def _zstd() -> Any:
    """The module that speaks zstd."""
    module = zstd_module()
    if module is None:
        raise ToolMissing(
            "The codec zstd needs a library that is not installed.",
            hint="Install it: `pip install backports.zstd` (Python 3.14 has it built in).",
        )
    return module


def _unzstd(data: bytes, limit: int) -> bytes:
    """One frame with nothing after it."""
    module = _zstd()
    decompressor = module.ZstdDecompressor()
    try:
        unpacked: bytes = decompressor.decompress(data, max_length=limit + 1)
    except module.ZstdError as error:
        raise FormatInvalid(f"zstd: {error}") from error
    if len(unpacked) <= limit and not decompressor.eof:
        raise FormatInvalid("zstd: the frame ends too early")
    if decompressor.unused_data:
        raise FormatInvalid(f"zstd: {len(decompressor.unused_data)} bytes follow the frame")
    return unpacked


_ALL: Final = (
    Codec("none", CODEC_NONE, _stored, _stored),
    Codec("bzip2", CODEC_BZIP2, lambda data: bz2.compress(data, 9), _bunzip2),
    Codec("deflate", CODEC_DEFLATE, _deflate, partial(_inflate, "deflate", _RAW)),
    Codec("gzip", CODEC_GZIP, _gzip, partial(_inflate, "gzip", _IN_GZIP)),
    Codec("xz", CODEC_XZ, _xz, partial(_unxz, "xz", lzma.FORMAT_XZ)),
    Codec("lzma", CODEC_LZMA, _lzma, partial(_unxz, "lzma", lzma.FORMAT_ALONE)),
    Codec("lz4", CODEC_LZ4, _pack_lz4, _unlz4),
    Codec("zstd", CODEC_ZSTD, lambda data: bytes(_zstd().compress(data, ZSTD_LEVEL)), _unzstd),
)
CODECS: Final = {codec.name: codec for codec in _ALL}
BY_NUMBER: Final = {codec.number: codec for codec in _ALL}
CODEC_CHOICES: Final = ("auto", *CODECS)
"""What `Image(codec=…)` and `build --codec` take."""


def choose(name: str) -> Codec:
    """The codec of that name; `auto` is `none`: reading 64 MiB takes less time than unpacking them."""
    if name == "auto":
        return CODECS["none"]
    if name not in CODECS:
        raise UsageError(f"There is no codec {name!r}.", hint=f"Choose one of: {', '.join(CODEC_CHOICES)}.")
    return CODECS[name]


@dataclass(frozen=True)
class Packed:
    """A chunk after its codec: `codec` is `none` where packing gained nothing."""

    data: bytes
    unpacked: int
    codec: Codec


def _pack(codec: Codec, data: bytes) -> Packed:
    packed = codec.pack(data)
    return Packed(data, len(data), CODECS["none"]) if len(packed) >= len(data) else Packed(packed, len(data), codec)


def pack_chunks(codec: Codec, pieces: Iterable[bytes]) -> Iterator[Packed]:
    """Pack chunk after chunk on all processors; the order and the bytes stay the same."""
    if codec.number == CODEC_NONE:
        return (Packed(piece, len(piece), codec) for piece in pieces)
    return in_parallel(partial(_pack, codec), pieces)


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Like `map`, on all processors: the codecs release the GIL. Only a few items and results are held at a time."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers, thread_name_prefix="codec") as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def unpack_chunk(number: int, packed: bytes, unpacked_size: int) -> bytes:
    """The bytes of a chunk, or `FormatInvalid` when they are not exactly what its record promises."""
    codec = BY_NUMBER.get(number)
    if codec is None:
        raise FormatInvalid(f"codec {number} is unknown")
    data = codec.unpack(packed, unpacked_size)
    if len(data) != unpacked_size:
        more = "more than " if len(data) > unpacked_size else ""
        raise FormatInvalid(
            f"{codec.name}: it unpacks to {more}{min(len(data), unpacked_size)} bytes instead of {unpacked_size}"
        )
    return data

"""Does the Zstandard decoder, whatever it is fed, give what the library does or a named error, and nothing else?"""

from __future__ import annotations

import random
import sys
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.codecs import zstd
from bootslang.slang import BootError, span
from support.bare import Bare
from support.fence import Fence
from support.fuzzing import fuzzed, fuzzed_slowly, mutations
from support.zstd_writer import COMPRESSED, block, frame

if sys.version_info >= (3, 14):
    from compression import zstd as library
else:
    from backports import zstd as library

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = random.Random(7)
ORIGINALS = [
    b"",
    b"a",
    bytes(500),
    b"abracadabra " * 30,
    SEED.randbytes(600),
    bytes(SEED.choices(b"etaoin shrdlu", k=3000)),
    b"".join(bytes([SEED.randrange(256)]) * SEED.randrange(300) for _ in range(30)),
    b"".join(bytes([SEED.randrange(256)]) + b"the same again" for _ in range(200)),
]
FRAMES = [library.compress(original, level) for original in ORIGINALS for level in (-5, 1, 6, 13, 19)]
LIMIT = 1 << 16
PACKED, OUT, WORK = Fence(LIMIT), Fence(LIMIT), Fence(zstd.WORK_BYTES)
OPTIONS: dict[int, int] = {library.DecompressionParameter.window_log_max: 27}


def decode(packed: bytes, size: int, *, low: bool = False) -> bytes:
    """With pages of no access behind all three buffers, or before two of them."""
    source = PACKED.first(packed) if low else PACKED.last(packed)
    out = OUT.first(b"\xa5" * size) if low else OUT.last(b"\xa5" * size)
    zstd.decode(source, out, WORK.last(b"\xcc" * zstd.WORK_BYTES))
    return bytes(out)


def check(packed: bytes, size: int) -> None:
    """Decode into `size` bytes; compare with what the library makes of the same bytes."""
    for low in (False, True):
        try:
            found = decode(packed, size, low=low)
        except BootError as error:
            assert str(error).startswith("zstd: ")  # noqa: PT017 - both outcomes are good
        else:
            assert found == library.decompress(packed, options=OPTIONS)


def size_of(packed: bytes) -> int:
    """How much it unpacks to, as far as the library can tell; LIMIT at most."""
    try:
        return len(library.ZstdDecompressor(options=OPTIONS).decompress(packed, LIMIT))
    except library.ZstdError:
        return LIMIT


@given(st.sampled_from(FRAMES).flatmap(mutations))
@fuzzed
def test_damaged_frames(packed: bytes) -> None:
    check(packed, size_of(packed))


@given(st.binary(max_size=400), st.integers(0, 3000))
@fuzzed
def test_any_bytes_behind_a_frame_header(rest: bytes, size: int) -> None:
    check(frame() + rest, size)


@given(st.binary(max_size=400), st.integers(0, 3000), st.booleans())
@fuzzed
def test_any_bytes_as_a_compressed_block(content: bytes, size: int, twice: bool) -> None:  # noqa: FBT001 - drawn
    blocks = [block(content, kind=COMPRESSED, last=not twice)]
    check(frame(*blocks, *([block(content, kind=COMPRESSED)] if twice else [])), size)


@given(st.binary(max_size=2000), st.integers(-7, 22), st.integers(10, 27))
@fuzzed
def test_what_the_library_packs(data: bytes, level: int, window: int) -> None:
    options: dict[int, int] = {
        library.CompressionParameter.compression_level: level,
        library.CompressionParameter.window_log: window,
    }
    packed = library.compress(data, options=options)
    assert decode(packed, len(data)) == data
    assert decode(packed, len(data), low=True) == data


@cache
def bare() -> Bare:
    return Bare("protected32", zstd.decode)


@given(st.sampled_from(FRAMES).flatmap(mutations))
@fuzzed_slowly
def test_damaged_frames_in_32_bits(packed: bytes) -> None:
    """On an emulated machine, the decoder does what the native one does."""
    size = size_of(packed)
    assert outcome(lambda out: bare().call(zstd.decode, packed, out, bytearray(zstd.WORK_BYTES)), size) == outcome(
        lambda out: zstd.decode(span(packed), span(out), span(bytearray(zstd.WORK_BYTES))), size
    )


def outcome(run: Callable[[bytearray], object], size: int) -> bytes | str:
    """What comes out, or the error without the place where it was raised."""
    out = bytearray(size)
    try:
        run(out)
    except BootError as error:
        return str(error).partition(" [")[0]
    return bytes(out)

"""Do the decoders of deflate and gzip, whatever they are fed, do what zlib does, and touch nothing else?"""

from __future__ import annotations

import random
import zlib
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.codecs import deflate, gzip
from bootslang.slang import BootError, span
from support.bare import Bare
from support.deflate_writer import FIXED, Bits
from support.fence import Fence
from support.fuzzing import fuzzed, fuzzed_slowly, mutations

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
RAW, IN_GZIP = -15, 31
LIMIT = 1 << 16
PACKED, OUT, WORK = Fence(LIMIT), Fence(LIMIT), Fence(gzip.WORK_BYTES)


def pack(data: bytes, level: int, strategy: int = 0, wbits: int = RAW) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, wbits, 8, strategy)
    return compressor.compress(data) + compressor.flush()


STREAMS = [pack(original, level, strategy) for original in ORIGINALS for level, strategy in ((0, 0), (9, 0), (9, 4))]
FILES = [pack(original, level, wbits=IN_GZIP) for original in ORIGINALS for level in (1, 9)]


def decode(packed: bytes, size: int, *, low: bool, raw: bool = True) -> bytes | None:
    """With pages of no access behind all three buffers, or before two of them; None for a named error."""
    source = PACKED.first(packed) if low else PACKED.last(packed)
    out = OUT.first(b"\xa5" * size) if low else OUT.last(b"\xa5" * size)
    try:
        if raw:
            deflate.decode(source, out, WORK.last(b"\xcc" * deflate.WORK_BYTES))
        else:
            gzip.decode(source, out, WORK.last(b"\xcc" * gzip.WORK_BYTES))
    except BootError as error:
        assert str(error).startswith(("deflate: ", "gzip: ")), error  # noqa: PT017 - both outcomes are good
        return None
    return bytes(out)


def unpacked(packed: bytes, wbits: int) -> tuple[bytes | None, int]:
    """What zlib makes of it, if all of it is used up; and a size to ask for."""
    data = b""
    while True:
        decompressor = zlib.decompressobj(wbits)
        try:
            data += decompressor.decompress(packed, LIMIT)
        except zlib.error:
            return None, LIMIT
        if not decompressor.eof:
            return None, min(len(data), LIMIT)
        packed = decompressor.unused_data
        if not packed:
            return (data, len(data)) if len(data) <= LIMIT else (None, LIMIT)
        if wbits == RAW:
            return None, min(len(data), LIMIT)


def check(packed: bytes, more: int = 0) -> None:
    expected, size = unpacked(packed, RAW)
    for low in (False, True):
        assert decode(packed, size, low=low) == expected
        if more:
            assert decode(packed, max(size - more, 0), low=low) is None or not size


@given(st.sampled_from(STREAMS).flatmap(mutations), st.integers(0, 9))
@fuzzed
def test_damaged_streams(packed: bytes, more: int) -> None:
    check(packed[:LIMIT], more)


@given(st.sampled_from(FILES).flatmap(mutations))
@fuzzed
def test_damaged_files(packed: bytes) -> None:
    expected, size = unpacked(packed, IN_GZIP)
    for low in (False, True):
        assert decode(packed, size, low=low, raw=False) == expected


@given(st.binary(max_size=600))
@fuzzed
def test_any_bytes(packed: bytes) -> None:
    check(packed)


@given(st.binary(max_size=600))
@fuzzed
def test_any_bytes_as_a_dynamic_block(content: bytes) -> None:
    check(bytes([content[0] & 0xF8 | 5]) + content[1:] if content else b"\5")


@given(st.lists(st.tuples(st.integers(0, 285), st.integers(0, 29), st.integers(0, 2**18)), max_size=300))
@fuzzed
def test_any_symbols(symbols: list[tuple[int, int, int]]) -> None:
    """Behind 40,000 zeros, to which any distance may reach."""
    made = Bits().header(FIXED).fixed(0)
    for _ in range(155):
        made.fixed(285).code(0, 5)
    for symbol, distance, extra in symbols:
        if symbol == 256:
            continue
        made.fixed(symbol)
        if symbol > 256:
            made.number(extra, 0 if symbol in (*range(257, 265), 285) else (symbol - 261) // 4)
            made.code(distance, 5).number(extra >> 5, max(distance // 2 - 1, 0))
    check(made.fixed(256).bytes())


@given(st.binary(max_size=2000), st.integers(0, 9), st.integers(9, 15), st.integers(1, 9), st.integers(0, 4))
@fuzzed
def test_what_zlib_packs(data: bytes, level: int, window: int, memory: int, strategy: int) -> None:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -window, memory, strategy)
    packed = compressor.compress(data) + compressor.flush()
    assert decode(packed, len(data), low=False) == decode(packed, len(data), low=True) == data


@cache
def bare() -> Bare:
    return Bare("protected32", deflate.decode)


@given(st.sampled_from(STREAMS).flatmap(mutations))
@fuzzed_slowly
def test_damaged_streams_in_32_bits(packed: bytes) -> None:
    """On an emulated machine, the decoder does what the native one does."""
    assert outcome(lambda out: bare().call(deflate.decode, packed, out, bytearray(deflate.WORK_BYTES))) == outcome(
        lambda out: deflate.decode(span(packed), span(out), span(bytearray(deflate.WORK_BYTES)))
    )


def outcome(run: Callable[[bytearray], object]) -> bytes | str:
    """What comes out, or the error without the place where it was raised."""
    out = bytearray(3000)
    try:
        run(out)
    except BootError as error:
        return str(error).partition(" [")[0]
    return bytes(out)

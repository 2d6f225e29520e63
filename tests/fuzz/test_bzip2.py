"""Does the bzip2 decoder, whatever it is fed, give what Python's does, or a named error, and touch only its output?"""

from __future__ import annotations

import bz2
import random
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.codecs import bzip2
from bootslang.slang import BootError, span

if TYPE_CHECKING:
    from collections.abc import Callable
from support.bare import Bare
from support.bzip2_writer import Block, stream
from support.fuzzing import fuzzed, fuzzed_slowly, mutations
from support.guarded import Guarded

WORK = Guarded(bzip2.WORK_BYTES)
SEED = random.Random(7)
ORIGINALS = [
    b"",
    b"a",
    bytes(500),
    b"abracadabra " * 30,
    SEED.randbytes(600),
    bytes(SEED.choices(b"etaoin shrdlu", k=3000)),
    b"".join(bytes([SEED.randrange(256)]) * SEED.randrange(300) for _ in range(30)),
]
STREAMS = [bz2.compress(original, level) for original in ORIGINALS for level in (1, 9)]
LIMIT = 1 << 16


def check(packed: bytes, size: int) -> None:
    """Decode into `size` bytes; compare with what Python's decoder makes of the same bytes."""
    out = Guarded(size)
    try:
        bzip2.decode(span(packed), out.span, WORK.span)
    except BootError as error:
        assert str(error)  # noqa: PT017 - both outcomes are good
    else:
        assert out.data == bz2.decompress(packed)
    out.check()
    WORK.check()


def size_of(packed: bytes) -> int:
    """How much it unpacks to, as far as Python's decoder can tell; LIMIT at most."""
    try:
        return len(bz2.BZ2Decompressor().decompress(packed, LIMIT))
    except OSError:
        return LIMIT


@given(st.sampled_from(STREAMS).flatmap(mutations))
@fuzzed
def test_damaged_streams(packed: bytes) -> None:
    check(packed, size_of(packed))


@given(st.binary(max_size=400), st.integers(0, 600))
@fuzzed
def test_any_bytes_behind_a_stream_header(rest: bytes, size: int) -> None:
    check(b"BZh91AY&SY" + rest, size)


@given(st.binary(max_size=2000), st.integers(1, 9))
@fuzzed
def test_what_python_packs(data: bytes, level: int) -> None:
    out = Guarded(len(data))
    bzip2.decode(span(bz2.compress(data, level)), out.span, WORK.span)
    assert out.data == data


@cache
def bare() -> Bare:
    return Bare("protected32", bzip2.decode)


@given(st.sampled_from(STREAMS).flatmap(mutations))
@fuzzed_slowly
def test_damaged_streams_in_32_bits(packed: bytes) -> None:
    """The decoder that reads its bits in smaller steps, on an emulated machine, does what the native one does."""
    size = size_of(packed)
    assert outcome(lambda out: bare().call(bzip2.decode, packed, out, bytearray(bzip2.WORK_BYTES)), size) == outcome(
        lambda out: bzip2.decode(span(packed), span(out), WORK.span), size
    )


def outcome(decode: Callable[[bytearray], object], size: int) -> bytes | str:
    """What comes out, or the error without the place where it was raised."""
    out = bytearray(size)
    try:
        decode(out)
    except BootError as error:
        return str(error).partition(" [")[0]
    return bytes(out)


LENGTHS = st.lists(st.integers(1, 20), min_size=5, max_size=5)


@given(
    st.lists(LENGTHS, min_size=2, max_size=6),
    st.lists(st.integers(0, 4), max_size=120),
    st.integers(0, 300),
    st.integers(0, 400),
)
@fuzzed
def test_well_formed_nonsense(tables: list[list[int]], symbols: list[int], origin: int, size: int) -> None:
    """Streams whose fields are all in range and whose contents mean anything at all."""
    block = Block(b"", packed=b"", used=[0x41, 0x42, 0x43], tables=tables, symbols=[*symbols, 4], origin=origin)
    check(stream(block), size)

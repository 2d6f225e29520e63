"""Does the LZ4 decoder, whatever it is fed, give what the library does or a named error, and nothing else?"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from lz4 import frame as library

from bootslang.boot.codecs import lz4
from bootslang.slang import BootError, span
from support.bare import Bare
from support.fence import Fence
from support.fuzzing import fuzzed, fuzzed_slowly, mutations
from support.lz4_writer import LEGACY_MAGIC, block, frame, read_block, sequence

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
FRAMES = [
    library.compress(original, level, block_size=4, block_linked=linked, store_size=linked)
    for original in ORIGINALS
    for level in (0, 12)
    for linked in (False, True)
]
LIMIT = 1 << 16
PACKED, OUT = Fence(LIMIT), Fence(LIMIT)


def decode(packed: bytes, size: int, *, low: bool) -> bytes | None:
    """With pages of no access behind both buffers, or before them; None for a named error."""
    source = PACKED.first(packed) if low else PACKED.last(packed)
    out = OUT.first(b"\xa5" * size) if low else OUT.last(b"\xa5" * size)
    try:
        lz4.decode(source, out, span(bytearray()))
    except BootError as error:
        assert str(error).startswith("lz4: "), error  # noqa: PT017 - both outcomes are good
        return None
    return bytes(out)


@given(st.sampled_from(FRAMES).flatmap(mutations))
@fuzzed
def test_damaged_frames(packed: bytes) -> None:
    """The library refuses blocks that end in a match; they are understood here."""
    try:
        expected = library.decompress(packed)
    except RuntimeError:
        expected = None
    size = LIMIT if expected is None else min(len(expected), LIMIT)
    for low in (False, True):
        found = decode(packed, size, low=low)
        assert found is None or expected is None or found == expected


SEQUENCES = st.lists(
    st.builds(sequence, st.binary(max_size=40), st.integers(1, 60), st.integers(4, 400)), max_size=12
).map(b"".join)


@given(st.one_of(st.binary(max_size=400), SEQUENCES.map(lambda made: made + sequence(bytes(7)))), st.integers(-9, 9))
@fuzzed
def test_any_bytes_as_a_block(content: bytes, more: int) -> None:
    """Compared with a reader that is too plain to be wrong."""
    try:
        expected = read_block(content)
    except (IndexError, ValueError):
        expected = None
    size = 1000 if expected is None else max(len(expected) + more, 0)
    right = expected if expected is not None and len(expected) == size else None
    for packed in (frame(block(content)), LEGACY_MAGIC + block(content)):
        if size <= LIMIT and content:
            for low in (False, True):
                assert decode(packed, size, low=low) == right


@given(st.binary(max_size=2000), st.integers(-5, 16), st.booleans())
@fuzzed
def test_what_the_library_packs(data: bytes, level: int, linked: bool) -> None:  # noqa: FBT001 - drawn
    packed = library.compress(data, level, block_linked=linked, block_checksum=linked, content_checksum=True)
    assert decode(packed, len(data), low=False) == decode(packed, len(data), low=True) == data


@cache
def bare() -> Bare:
    return Bare("protected32", lz4.decode)


@given(st.sampled_from(FRAMES).flatmap(mutations))
@fuzzed_slowly
def test_damaged_frames_in_32_bits(packed: bytes) -> None:
    """On an emulated machine, the decoder does what the native one does."""
    assert outcome(lambda out: bare().call(lz4.decode, packed, out, bytearray())) == outcome(
        lambda out: lz4.decode(span(packed), span(out), span(bytearray()))
    )


def outcome(run: Callable[[bytearray], object]) -> bytes | str:
    """What comes out, or the error without the place where it was raised."""
    out = bytearray(3000)
    try:
        run(out)
    except BootError as error:
        return str(error).partition(" [")[0]
    return bytes(out)

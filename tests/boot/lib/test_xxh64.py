"""Is it XXH64, at once and in pieces, for every length and alignment?"""

from __future__ import annotations

import random

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.lib.xxh64 import Xxh64, digest, start, update, xxh64
from bootslang.slang import span
from support.bare import Bare, Target


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_published_vectors(data: bytes, expected: int) -> None:
    assert xxh64(span(data)) == expected


def test_every_length_up_to_three_stripes_at_every_alignment() -> None:
    data = random.Random(1).randbytes(128)
    for start_at in range(8):
        for size in range(100):
            piece = memoryview(data)[start_at : start_at + size]
            assert xxh64(span(piece)) == xxhash.xxh64_intdigest(piece)


@given(st.lists(st.binary(max_size=100), max_size=12))
@settings(deadline=None)
def test_pieces_sum_to_the_whole(pieces: list[bytes]) -> None:
    state = Xxh64.zeroed()
    start(state)
    for piece in pieces:
        update(state, span(piece))
    expected = xxhash.xxh64_intdigest(b"".join(pieces))
    assert digest(state) == expected
    assert digest(state) == expected  # it leaves the state as it is


@given(st.binary(max_size=5000))
@settings(deadline=None)
def test_any_bytes(data: bytes) -> None:
    assert xxh64(span(data)) == xxhash.xxh64_intdigest(data)


@pytest.mark.parametrize("target", ["protected32", "long64"])
def test_the_machine_sums_as_the_host_does(target: Target) -> None:
    data = random.Random(2).randbytes(1000)
    machine = Bare(target, xxh64)
    for size in (0, 1, 3, 4, 7, 8, 15, 31, 32, 33, 63, 64, 65, 999, 1000):
        assert machine.call(xxh64, data[:size]) == xxhash.xxh64_intdigest(data[:size])

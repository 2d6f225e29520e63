"""Does the small LZ4 unpacker give back what the reference library packed, and nothing else?"""

import lz4.block
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.lib.lz4 import unpack_lz4
from bootslang.slang import BootError, span

GUARD = b"\xa5" * 64


def unpack(packed: bytes, size: int) -> bytes:
    """Unpack into the middle of a larger buffer, and see that its edges stay as they were."""
    area = bytearray(GUARD + bytes(size) + GUARD)
    try:
        unpack_lz4(span(packed), span(memoryview(area)[len(GUARD) : len(GUARD) + size]))
    finally:
        assert area[: len(GUARD)] == GUARD
        assert area[len(GUARD) + size :] == GUARD
    return bytes(area[len(GUARD) : len(GUARD) + size])


def packed_by_the_library(data: bytes) -> bytes:
    return bytes(lz4.block.compress(data, mode="high_compression", compression=12, store_size=False))


runs = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 700)), max_size=12)


@given(runs)
@settings(max_examples=200)
def test_what_the_library_packs_comes_back(parts: list[tuple[bytes, int]]) -> None:
    data = b"".join(text * count for text, count in parts)
    assert unpack(packed_by_the_library(data), len(data)) == data


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=300)
def test_rubbish_ends_in_an_error_or_fills_the_output(packed: bytes, size: int) -> None:
    try:
        assert len(unpack(packed, size)) == size
    except BootError as error:
        assert str(error)  # noqa: PT017 - either end is right


@given(runs.filter(bool), st.data())
@settings(max_examples=200)
def test_a_truncated_block_is_an_error(parts: list[tuple[bytes, int]], data: st.DataObject) -> None:
    whole = b"".join(text * count for text, count in parts)
    packed = packed_by_the_library(whole)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(BootError):
        unpack(packed[:cut], len(whole))


def test_an_output_of_another_size_is_an_error() -> None:
    packed = packed_by_the_library(b"bootslang" * 20)
    with pytest.raises(BootError, match=r"slice out of range|outside of it"):
        unpack(packed, 179)
    with pytest.raises(BootError, match="a packed stage has 180 bytes instead of 181"):
        unpack(packed, 181)


def test_a_match_before_the_start_is_an_error() -> None:
    with pytest.raises(BootError, match="a packed stage refers to bytes outside of it"):
        unpack(b"\x10A\x02\x00" + b"\x00", 6)

"""Does the arena keep whole copies, each at a place of its own, until it is full?"""

import ctypes

import pytest

from bootslang.boot.doors import keep
from bootslang.slang import BootError, fn, span, u8, usize


@fn
def kept_at(data: span[u8]) -> usize:
    copy = keep.keep(data)
    return copy.address if len(copy) == len(data) else 0


def test_copies_are_whole_aligned_and_apart() -> None:
    texts = [b"", b"a", b"sixteen bytes ..", b"b" * 17, b"c"]
    places = [kept_at(span(text)) for text in texts]
    assert [ctypes.string_at(place, len(text)) for place, text in zip(places, texts, strict=True)] == texts
    assert not any(place % 16 for place in places)


def test_it_is_filled_to_the_last_byte_and_no_further() -> None:
    size = keep.ARENA_BYTES // 2
    first, second = kept_at(span(b"a" * size)), kept_at(span(b"b" * size))
    assert second == first + size
    with pytest.raises(BootError, match=r"^the loader before us tells more than the 65536 bytes that can be kept$"):
        kept_at(span(b"c" * keep.ALIGNMENT))
    assert ctypes.string_at(first, 2 * size) == b"a" * size + b"b" * size

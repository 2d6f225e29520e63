"""Do the copies and fills that compiled code calls do what the C library's do, on a bare machine?"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.lib.memory import memcmp, memcpy, memmove, memset
from bootslang.slang import fn, i32, ptr, span, u8, usize
from support.bare import Bare, Target

SIZE = 96
BOTH = pytest.mark.parametrize("target", ["protected32", "long64"])
PLACE = st.integers(0, SIZE // 2)
COUNT = st.integers(0, SIZE // 2)
CONTENT = st.binary(min_size=SIZE, max_size=SIZE)


@fn
def copy(memory: span[u8], into: usize, source: usize, count: usize) -> usize:
    return memcpy(ptr[u8](memory.address + into), ptr[u8](memory.address + source), count).address - memory.address


@fn
def move(memory: span[u8], into: usize, source: usize, count: usize) -> usize:
    return memmove(ptr[u8](memory.address + into), ptr[u8](memory.address + source), count).address - memory.address


@fn
def fill(memory: span[u8], into: usize, value: i32, count: usize) -> usize:
    return memset(ptr[u8](memory.address + into), value, count).address - memory.address


@fn
def compare(first: span[u8], second: span[u8]) -> i32:
    return memcmp(ptr[u8](first.address), ptr[u8](second.address), len(first))


@cache
def bare(target: Target) -> Bare:
    return Bare(target, copy, move, fill, compare)


@BOTH
@given(CONTENT, PLACE, PLACE, COUNT)
@settings(deadline=None)
def test_moves_may_overlap(target: Target, content: bytes, into: int, source: int, count: int) -> None:
    memory = bytearray(content)
    assert bare(target).call(move, memory, into, source, count) == into
    expected = bytearray(content)
    expected[into : into + count] = content[source : source + count]
    assert memory == expected


@BOTH
@given(CONTENT, PLACE, PLACE, COUNT)
@settings(deadline=None)
def test_copies_are_right_downwards_too(target: Target, content: bytes, first: int, second: int, count: int) -> None:
    into, source = sorted([first, second])
    memory = bytearray(content)
    assert bare(target).call(copy, memory, into, source, count) == into
    expected = bytearray(content)
    expected[into : into + count] = content[source : source + count]
    assert memory == expected


@BOTH
@given(CONTENT, PLACE, st.integers(0, 255), COUNT)
@settings(deadline=None)
def test_fills(target: Target, content: bytes, into: int, value: int, count: int) -> None:
    memory = bytearray(content)
    assert bare(target).call(fill, memory, into, value | 0x1200, count) == into
    assert memory == content[:into] + bytes([value]) * count + content[into + count :]


@BOTH
@given(st.binary(max_size=40), st.integers(0, 39), st.integers(0, 255))
@settings(deadline=None)
def test_comparisons(target: Target, first: bytes, place: int, value: int) -> None:
    second = bytearray(first)
    if place < len(second):
        second[place] = value
    result = bare(target).call(compare, first, second)
    signed = result - 2**32 if result >> 31 else result
    assert (signed > 0) - (signed < 0) == (first > second) - (first < second)

"""Does the decoder of `.lzma` files give what was packed, and a named error for everything else?"""

from __future__ import annotations

import lzma
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.codecs import lzma as codec
from bootslang.slang import BootError, span
from support.bare import Bare, Target
from support.decoding import TEXT, Decoder, flips, mixed
from support.xz_writer import chunks

LZMA = Decoder(codec, "lzma")
CONTEXTS = [(lc, lp, pb) for lc in range(5) for lp in range(5 - lc) for pb in range(5)]


def pack(data: bytes, *, sized: bool = False, **options: Any) -> bytes:
    """As Python writes it, of unknown size and with a mark at the end; or `sized`, and with the mark as well."""
    packed = lzma.compress(data, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, **options}])
    return packed[:5] + len(data).to_bytes(8, "little") + packed[13:] if sized else packed


def markless(data: bytes) -> bytes:
    """As the SDK writes it: of known size, without a mark. The symbols of the one chunk that LZMA2 makes of `data`."""
    found = chunks(data)
    assert found[0] >= 0xE0
    assert int.from_bytes(found[3:5], "big") + 1 == len(found) - 7
    return found[5:6] + bytes(4) + len(data).to_bytes(8, "little") + found[6:-1]


PACKED = pack(TEXT)
KINDS = [PACKED, pack(TEXT, sized=True), markless(TEXT)]


@pytest.mark.parametrize("preset", range(10))
@pytest.mark.parametrize("sized", [False, True])
def test_every_preset_comes_back(preset: int, sized: bool) -> None:  # noqa: FBT001 - pytest's
    data = mixed(250_000)
    assert LZMA.unpack(pack(data, preset=preset, sized=sized), len(data)) == data


@pytest.mark.parametrize(("lc", "lp", "pb"), CONTEXTS)
def test_every_choice_of_contexts_comes_back(lc: int, lp: int, pb: int) -> None:
    data = mixed(20_000, seed=lc + lp)
    assert LZMA.unpack(pack(data, lc=lc, lp=lp, pb=pb), len(data)) == data


def test_noise_comes_back() -> None:
    data = random.Random(3).randbytes(100_000)
    assert LZMA.unpack(pack(data), len(data)) == data


@pytest.mark.parametrize("size", [1, 2, 3, 20, 21, 22, 1000, 60_000])
def test_files_without_a_mark_come_back(size: int) -> None:
    data = (TEXT * 300)[:size]
    packed = markless(b"\xa5" * 30 + data)
    assert lzma.decompress(packed) == LZMA.unpack(packed, size + 30) == b"\xa5" * 30 + data


@pytest.mark.parametrize("dictionary", [0, 1, 2**32 - 1])
def test_the_size_of_the_dictionary_means_nothing(dictionary: int) -> None:
    packed = PACKED[:1] + dictionary.to_bytes(4, "little") + PACKED[5:]
    assert LZMA.unpack(packed, len(TEXT)) == TEXT


@pytest.mark.parametrize("size", [0, 1, 2, 5])
@pytest.mark.parametrize("sized", [False, True])
def test_tiny_files_come_back(size: int, sized: bool) -> None:  # noqa: FBT001 - pytest's
    assert LZMA.unpack(pack(TEXT[:size], sized=sized), size) == TEXT[:size]


@given(st.binary(max_size=3000), st.integers(0, 9), st.booleans())
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, preset: int, sized: bool) -> None:  # noqa: FBT001 - hypothesis's
    assert LZMA.unpack(pack(data, preset=preset, sized=sized), len(data)) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.integers(1, 600)), max_size=10))
@settings(deadline=None)
def test_any_patterns_come_back(patterns: list[tuple[bytes, int]]) -> None:
    data = b"".join(pattern * count for pattern, count in patterns)
    assert LZMA.unpack(pack(data), len(data)) == data


@pytest.mark.parametrize("packed", KINDS, ids=["marked", "sized", "markless"])
def test_every_truncation_is_an_error(packed: bytes) -> None:
    assert LZMA.unpack(packed, len(TEXT)) == TEXT
    for size in range(len(packed)):
        LZMA.complain(packed[:size], len(TEXT))
    assert "the data end too early" in LZMA.complain(packed[:-1], len(TEXT))
    assert "the data end too early" in LZMA.complain(b"", 0)


@pytest.mark.parametrize("packed", KINDS, ids=["marked", "sized", "markless"])
def test_flipped_bits_do_what_liblzma_does(packed: bytes) -> None:
    for damaged in flips(packed):
        found = LZMA.outcome(damaged, len(TEXT))
        assert found is None or found == lzma.decompress(any_dictionary(damaged))


def any_dictionary(packed: bytes) -> bytes:
    """With a dictionary that holds everything: its size means nothing to us."""
    return packed[:1] + (1 << 20).to_bytes(4, "little") + packed[5:]


@pytest.mark.parametrize("size", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 1000])
def test_another_size_is_an_error(size: int) -> None:
    assert all("unpack to" in LZMA.complain(packed, size) for packed in KINDS)


def test_a_bomb_stops_at_the_end_of_the_output() -> None:
    assert "the data unpack to more than 1000 bytes" in LZMA.complain(pack(bytes(30 << 20)), 1000)


@pytest.mark.parametrize("packed", KINDS, ids=["marked", "sized", "markless"])
@pytest.mark.parametrize("count", [1, 4, 20, 21, 22, 100])
def test_rubbish_behind_the_data_is_an_error(packed: bytes, count: int) -> None:
    assert f"lzma: {count} bytes follow the data" in LZMA.complain(packed + b"?" * count, len(TEXT))


def test_a_file_behind_a_file_is_an_error() -> None:
    assert f"lzma: {len(PACKED)} bytes follow the data" in LZMA.complain(PACKED + PACKED, len(TEXT))


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (b"\xe1" + PACKED[1:], "impossible properties 0xe1"),
        (bytes([8]) + PACKED[1:], "lc=8 and lp=0, more than 4 together, are not supported"),
        (bytes([9 * 4 + 3]) + PACKED[1:], "lc=3 and lp=4, more than 4 together, are not supported"),
        (PACKED[:5] + bytes(8) + PACKED[13:], "the data unpack to 0 bytes instead of"),
        (PACKED[:13] + b"\1" + PACKED[14:], "no range coder begins at byte 13"),
        (b"BZh91AY&SY" + bytes(20), "lzma: "),
    ],
    ids=range(6),
)
def test_wrong_fields_are_named(packed: bytes, problem: str) -> None:
    assert problem in LZMA.complain(packed, len(TEXT))


def test_a_match_before_the_first_byte_is_an_error() -> None:
    """Ones of a range coder: the first symbol is a match."""
    packed = PACKED[:13] + b"\0" + b"\xff" * 3 + bytes(20)
    assert "a match refers to bytes before the first" in LZMA.complain(packed, 10)


def test_a_mark_at_another_place_is_an_error() -> None:
    sized = PACKED[:5] + (len(TEXT) + 1).to_bytes(8, "little") + PACKED[13:]
    message = f"the data unpack to {len(TEXT)} bytes instead of {len(TEXT) + 1}"
    assert message in LZMA.complain(sized, len(TEXT) + 1)


def test_too_little_work_memory_is_an_error() -> None:
    with pytest.raises(BootError):
        codec.decode(span(PACKED), span(bytearray(len(TEXT))), span(bytearray(codec.WORK_BYTES - 1)))


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits, as the machine runs it."""

    def test_it_unpacks(self, target: Target) -> None:
        machine = Bare(target, codec.decode)
        for data in (b"", TEXT, mixed(20_000), bytes(3000), random.Random(3).randbytes(3000)):
            for packed in (pack(data), pack(data, sized=True)):
                out = bytearray(len(data))
                machine.call(codec.decode, packed, out, bytearray(codec.WORK_BYTES))
                assert out == data

    def test_it_refuses_damage(self, target: Target) -> None:
        machine = Bare(target, codec.decode)
        work = bytearray(codec.WORK_BYTES)
        for size in range(0, len(PACKED), 7):
            with pytest.raises(BootError, match=r"^lzma: .* \[boot/codecs/lzma(_symbols)?.py:\d+\]$"):
                machine.call(codec.decode, PACKED[:size], bytearray(len(TEXT)), work)
        for damaged in flips(PACKED, 13):
            out = bytearray(len(TEXT))
            try:
                machine.call(codec.decode, damaged, out, work)
            except BootError:
                continue
            assert bytes(out) == LZMA.outcome(damaged, len(TEXT))

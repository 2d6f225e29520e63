"""Does the decoder of deflate give what was packed, and a named error for everything else?"""

from __future__ import annotations

import random
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.codecs import deflate
from bootslang.slang import BootError, span
from support.bare import Bare, Target
from support.decoding import TEXT, Decoder, flips, mixed
from support.deflate_writer import DYNAMIC, END, FIXED, STORED, Bits, dynamic

DEFLATE = Decoder(deflate, "deflate")
CHUNK = 1 << 20
CORPORA = {
    "code": Path(sys.executable).resolve().read_bytes()[:CHUNK],
    "text": Path(random.__file__).read_bytes(),
    "mixed": mixed(400_000),
    "noise": random.Random(2).randbytes(300_000),
    "zeros": bytes(CHUNK),
    "empty": b"",
    "byte": b"a",
}
STRATEGIES = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]


def pack(data: bytes, level: int = 9, window: int = 15, memory: int = 8, strategy: int = 0) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -window, memory, strategy)
    return compressor.compress(data) + compressor.flush()


PACKED = pack(TEXT)
KINDS = {"dynamic": PACKED, "fixed": pack(TEXT, strategy=zlib.Z_FIXED), "stored": pack(TEXT, 0)}


@pytest.mark.parametrize("data", CORPORA.values(), ids=CORPORA)
def test_every_level_comes_back(data: bytes) -> None:
    for level in range(10):
        assert DEFLATE.unpack(pack(data, level), len(data)) == data, level


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_window_and_memory_comes_back(strategy: int) -> None:
    data = mixed(150_000, seed=strategy)
    for window in range(9, 16):
        assert DEFLATE.unpack(pack(data, 6, window, strategy=strategy), len(data)) == data
    for memory in range(1, 10):
        assert DEFLATE.unpack(pack(data, 6, memory=memory, strategy=strategy), len(data)) == data


@given(st.binary(max_size=3000), st.integers(0, 9), st.sampled_from(STRATEGIES))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, level: int, strategy: int) -> None:
    assert DEFLATE.unpack(pack(data, level, strategy=strategy), len(data)) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 300)), max_size=30))
@settings(deadline=None)
def test_any_patterns_come_back(patterns: list[tuple[bytes, int]]) -> None:
    """Matches that overlap themselves, at every small distance."""
    data = b"".join(pattern * count for pattern, count in patterns)
    assert DEFLATE.unpack(pack(data), len(data)) == data


def test_flushed_blocks_of_every_size_come_back() -> None:
    data = mixed(60_000, seed=3)
    compressor = zlib.compressobj(9, wbits=-15)
    packed, at, step = b"", 0, 0
    while at < len(data):
        kind = (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK)[step % 3]
        packed += compressor.compress(data[at : at + step]) + compressor.flush(kind)
        at += step
        step += 1
    packed += compressor.flush()
    assert DEFLATE.unpack(packed, len(data)) == data


def test_codes_of_fifteen_bits_come_back() -> None:
    """Every length of a code from 1 to 15, and second tables of every size."""
    lengths = [*range(1, 15), 15] + [0] * 241 + [15]
    distances = [*range(1, 15), 15, 15]
    made = dynamic(lengths, distances)
    for symbol in range(15):
        made.symbol(symbol, lengths)
    packed = made.symbol(END, lengths).bytes()
    assert zlib.decompress(packed, -15) == DEFLATE.unpack(packed, 15) == bytes(range(15))
    # So that the fast loop reads them as well: 40 times over, and 500 bytes to spare.
    made = dynamic(lengths, distances)
    for symbol in [*range(15)] * 40 + [0] * 500:
        made.symbol(symbol, lengths)
    packed = made.symbol(END, lengths).bytes()
    assert DEFLATE.unpack(packed, 1100) == bytes(range(15)) * 40 + bytes(500)


def test_long_matches_with_long_codes_come_back() -> None:
    """Codes of 15 bits for a match whose length and distance have all the extra bits that there can be."""
    lengths = [1] + [0] * 255 + [2] + [0] * 23 + [*range(3, 15), 15]
    lengths = lengths[:285]
    missing = 2**15 - sum(2 ** (15 - bits) for bits in lengths if bits)
    lengths[1] = 16 - missing.bit_length()
    assert sum(2 ** (15 - bits) for bits in lengths if bits) == 2**15
    distances = [*range(1, 14), *[0] * 14, 14, 15, 15]
    made = dynamic(lengths, distances)
    for _ in range(33_000):
        made.symbol(0, lengths)
    long = max(symbol for symbol in range(281, 285) if lengths[symbol])
    for _ in range(300):
        made.symbol(long, lengths).number(31, 5).symbol(29, distances).number(8191, 13)
    packed = made.symbol(END, lengths).bytes()
    expected = zlib.decompress(packed, -15)
    assert DEFLATE.unpack(packed, len(expected)) == expected


@pytest.mark.parametrize("packed", KINDS.values(), ids=KINDS)
def test_every_truncation_is_an_error(packed: bytes) -> None:
    assert DEFLATE.unpack(packed, len(TEXT)) == TEXT
    for size in range(len(packed)):
        assert DEFLATE.complain(packed[:size], len(TEXT)) == "deflate: the data end too early"


@pytest.mark.parametrize("packed", [*KINDS.values(), pack(mixed(3000))], ids=[*KINDS, "mixed"])
def test_every_flipped_bit_gives_what_zlib_gives(packed: bytes) -> None:
    size = len(zlib.decompress(packed, -15))
    for damaged in flips(packed):
        assert DEFLATE.outcome(damaged, size) == expected(damaged, size)


def expected(packed: bytes, size: int) -> bytes | None:
    """What zlib makes of it, if it is of this size and nothing follows."""
    decompressor = zlib.decompressobj(-15)
    try:
        data = decompressor.decompress(packed, size + 1)
    except zlib.error:
        return None
    return data if decompressor.eof and not decompressor.unused_data and len(data) == size else None


@pytest.mark.parametrize("rubbish", [b"\0", b"rubbish"])
def test_trailing_rubbish_is_an_error(rubbish: bytes) -> None:
    for packed in KINDS.values():
        assert DEFLATE.complain(packed + rubbish, len(TEXT)) == f"deflate: {len(rubbish)} bytes follow the data"
    assert DEFLATE.complain(PACKED * 2, len(TEXT)) == f"deflate: {len(PACKED)} bytes follow the data"


def test_another_size_than_stated_is_an_error() -> None:
    for packed in KINDS.values():
        assert f"{len(TEXT)} bytes instead of {len(TEXT) + 1}" in DEFLATE.complain(packed, len(TEXT) + 1)
        assert f"more than {len(TEXT) - 1} bytes" in DEFLATE.complain(packed, len(TEXT) - 1)


def test_a_bomb_stops_at_the_stated_size() -> None:
    assert DEFLATE.complain(pack(bytes(50 << 20)), 4096) == "deflate: the data unpack to more than 4096 bytes"


def coded_lengths(told: list[int], *values: tuple[int, int, int]) -> bytes:
    """A dynamic block whose code lengths are coded by codes of one bit or two; (code, extra bits, how many)."""
    made = Bits().header(DYNAMIC).number(0, 5).number(0, 5).number(15, 4)
    for place in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15):
        made.number(told[place], 3)
    for code, extra, count in values:
        made.symbol(code, told).number(extra, count)
    return made.raw(bytes(60)).bytes()


PAIR = [1] + [0] * 17 + [1]
"""The codes for no code, and for many of these."""
REPEATS = [2] + [0] * 15 + [1, 0, 2]
SINGLE = [0] * 256 + [1]
TWO = [1] + [0] * 255 + [1]
WRONG = {
    "kind": (Bits().header(3).bytes(), "a block of the reserved kind 3"),
    "stored": (Bits().header(STORED).raw(b"\1\0\xfe\xfea").bytes(), "a stored block whose length is damaged"),
    "stored short": (Bits().header(STORED).raw(b"\2\0\xfd\xffa").bytes(), "the data end too early"),
    "symbols": (
        Bits().header(DYNAMIC).number(30, 5).number(0, 5).raw(bytes(40)).bytes(),
        "a block with 287 symbols and 1 distances",
    ),
    "distances": (
        Bits().header(DYNAMIC).number(0, 5).number(30, 5).raw(bytes(40)).bytes(),
        "a block with 257 symbols and 31 distances",
    ),
    "oversubscribed": (coded_lengths([1, 1, 1] + [0] * 16), "an oversubscribed code table"),
    "incomplete": (coded_lengths([2, 2, 2] + [0] * 16), "an incomplete code table"),
    "no lengths": (coded_lengths([0] * 19), "a code that its table does not have"),
    "first repeats": (coded_lengths(REPEATS, (16, 0, 2)), "a code length is repeated before the first"),
    "too many lengths": (coded_lengths(PAIR, (18, 127, 7), (18, 127, 7)), "more code lengths than there are codes"),
    "no end": (coded_lengths(PAIR, (18, 127, 7), (18, 109, 7)), "a block without a code for its end"),
    "symbols over": (dynamic([1, 1, *SINGLE[2:]], [1]).bytes(), "an oversubscribed code table"),
    "symbols under": (dynamic([2, *SINGLE[1:]], [1]).bytes(), "an incomplete code table"),
    "distances over": (dynamic(SINGLE, [1, 1, 1]).bytes(), "an oversubscribed code table"),
    "distances under": (dynamic(SINGLE, [2, 2, 2]).bytes(), "an incomplete code table"),
    "no symbol": (dynamic(SINGLE, [0]).number(1, 1).bytes(), "a code that its table does not have"),
    "no distance": (
        dynamic([2, 1, *[0] * 254, 3, 3], [0]).code(2, 2).code(7, 3).raw(bytes(4)).bytes(),
        "a code that its table does not have",
    ),
    "symbol 286": (Bits().header(FIXED).fixed(65, 286).raw(bytes(4)).bytes(), "a code that its table does not have"),
    "distance 30": (
        Bits().header(FIXED).fixed(65, 257).code(30, 5).raw(bytes(4)).bytes(),
        "a code that its table does not have",
    ),
    "far back": (
        Bits().header(FIXED).fixed(65, 257).code(1, 5).raw(bytes(4)).bytes(),
        "a match reaches back 2 bytes, where 1 are",
    ),
}


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    """Also where the loop that checks less has room."""
    assert DEFLATE.complain(data, 10) == f"deflate: {message}"
    if "early" not in message:
        assert DEFLATE.complain(data + bytes(600), 600) == f"deflate: {message}"
    with pytest.raises(zlib.error):
        zlib.decompress(data, -15)


def test_a_single_code_of_one_bit_is_enough() -> None:
    for distances in ([0], [1]):
        packed = dynamic(TWO, distances).symbol(0, TWO).symbol(END, TWO).bytes()
        assert DEFLATE.unpack(packed, 1) == zlib.decompress(packed, -15) == b"\0"


def test_too_little_work_memory_is_an_error() -> None:
    with pytest.raises(BootError):
        deflate.decode(span(PACKED), span(bytearray(len(TEXT))), span(bytearray(deflate.WORK_BYTES - 1)))


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits."""

    def test_it_unpacks(self, target: Target) -> None:
        machine = bare(target)
        for data in (b"", TEXT, mixed(100_000), bytes(3000), random.Random(3).randbytes(3000)):
            for packed in (pack(data), pack(data, strategy=zlib.Z_FIXED)):
                out = bytearray(len(data))
                machine.call(deflate.decode, packed, out, bytearray(b"\xcc" * deflate.WORK_BYTES))
                assert out == data

    def test_it_refuses_damage(self, target: Target) -> None:
        machine = bare(target)
        work = bytearray(deflate.WORK_BYTES)
        for size in range(0, len(PACKED), 5):
            with pytest.raises(BootError, match=r"^deflate: .* \[boot/codecs/inflate(_symbols)?.py:\d+\]$"):
                machine.call(deflate.decode, PACKED[:size], bytearray(len(TEXT)), work)
        for damaged in flips(PACKED, 7):
            out = bytearray(len(TEXT))
            try:
                machine.call(deflate.decode, damaged, out, work)
            except BootError:
                assert expected(damaged, len(TEXT)) is None
            else:
                assert bytes(out) == expected(damaged, len(TEXT))

    @pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
    def test_it_names_what_is_wrong(self, target: Target, data: bytes, message: str) -> None:
        with pytest.raises(BootError) as caught:
            bare(target).call(deflate.decode, data, bytearray(10), bytearray(deflate.WORK_BYTES))
        assert str(caught.value).startswith(f"deflate: {message}")


@cache
def bare(target: Target) -> Bare:
    return Bare(target, deflate.decode)

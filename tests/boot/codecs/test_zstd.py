"""Does the Zstandard decoder give what was packed, and a named error for everything else?"""

from __future__ import annotations

import random
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.codecs import zstd
from bootslang.boot.codecs.zstd_passes import BLOCK_MAX
from bootslang.slang import BootError, span
from support.bare import Bare, Target
from support.guarded import Guarded
from support.zstd_writer import (
    RLE,
    block,
    frame,
    huffman_literals,
    packed,
    raw_literals,
    sequences,
)

if sys.version_info >= (3, 14):
    from compression import zstd as library
else:
    from backports import zstd as library

Parameter = library.CompressionParameter
WORK = Guarded(zstd.WORK_BYTES)
CHUNK = 1 << 20
TEXT = b"She sells sea shells by the sea shore; the shells she sells are surely sea shells. " * 3
TREELESS = 3
CHECKED: dict[int, int] = {Parameter.checksum_flag: 1}


def unpack(data: bytes, size: int) -> bytes:
    out = Guarded(size)
    try:
        zstd.decode(span(data), out.span, WORK.span)
    finally:
        out.check()
        WORK.check()
    return out.data


def complain(data: bytes, size: int) -> str:
    with pytest.raises(BootError, match=r"^zstd: ") as caught:
        unpack(data, size)
    return str(caught.value).removeprefix("zstd: ")


def mixed(size: int, seed: int = 1) -> bytes:
    """Text-like, random and constant stretches in turn."""
    generator = random.Random(seed)
    data = bytearray()
    while len(data) < size:
        kind = generator.randrange(4)
        if kind == 0:
            data += generator.randbytes(generator.randrange(1, 5000))
        elif kind == 1:
            data += bytes([generator.randrange(256)]) * generator.randrange(1, 5000)
        elif kind == 2:
            data += bytes(generator.choices(b"etaoin shrdlu\n", k=generator.randrange(1, 5000)))
        else:
            start = generator.randrange(len(data) + 1)
            data += data[start : start + generator.randrange(5000)]
    return bytes(data[:size])


CORPORA = {
    "code": Path(sys.executable).resolve().read_bytes()[:CHUNK],
    "text": Path(random.__file__).read_bytes(),
    "mixed": mixed(400_000),
    "noise": random.Random(2).randbytes(300_000),
    "zeros": bytes(CHUNK),
    "empty": b"",
    "byte": b"a",
}


@pytest.mark.parametrize("data", CORPORA.values(), ids=CORPORA)
def test_every_level_comes_back(data: bytes) -> None:
    for level in (*range(-7, 23), -100, -100_000):
        assert unpack(library.compress(data, level), len(data)) == data, level


@pytest.mark.parametrize("strategy", library.Strategy)
def test_every_strategy_and_window_comes_back(strategy: library.Strategy) -> None:
    data = mixed(200_000, seed=int(strategy))
    for window in range(10, 28):
        options: dict[int, int] = {
            Parameter.window_log: window,
            Parameter.strategy: strategy,
            Parameter.min_match: 3 + window % 5,
        }
        assert unpack(library.compress(data, options=options), len(data)) == data, window


@pytest.mark.parametrize("checksum", [0, 1])
@pytest.mark.parametrize("told", [0, 1])
def test_frames_with_and_without_their_size_and_sum_come_back(checksum: int, told: int) -> None:
    options: dict[int, int] = {Parameter.checksum_flag: checksum, Parameter.content_size_flag: told}
    for size in (0, 1, 255, 256, 257, 65_791, 65_792, 200_000):
        data = mixed(size)
        assert unpack(library.compress(data, options=options), size) == data, size


def test_flushed_blocks_of_every_size_come_back() -> None:
    data = mixed(100_000, seed=3)
    compressor = library.ZstdCompressor(19)
    written, at, step = b"", 0, 0
    while at < len(data):
        written += compressor.compress(data[at : at + step], compressor.FLUSH_BLOCK)
        at += step
        step += 7
    assert unpack(written + compressor.flush(), len(data)) == data


@given(st.binary(max_size=3000), st.integers(-20, 22))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, level: int) -> None:
    assert unpack(library.compress(data, level), len(data)) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 300)), max_size=30), st.integers(1, 22))
@settings(deadline=None)
def test_any_repetitions_come_back(runs: list[tuple[bytes, int]], level: int) -> None:
    """Matches that overlap themselves, at every small distance."""
    data = b"".join(part * count for part, count in runs)
    assert unpack(library.compress(data, level), len(data)) == data


def test_frames_one_after_the_other_unpack_as_with_zstd() -> None:
    both = library.compress(TEXT) + library.compress(b"") + library.compress(b"more" * 99)
    assert unpack(both, len(TEXT) + 396) == TEXT + b"more" * 99


@pytest.mark.parametrize("digit", [0, 7, 15])
def test_skippable_frames_are_passed_over(digit: int) -> None:
    skipped = bytes([0x50 + digit]) + b"\x2a\x4d\x18" + b"\5\0\0\0" + b"12345"
    assert unpack(skipped + library.compress(TEXT) + skipped, len(TEXT)) == TEXT
    assert unpack(skipped, 0) == b""
    for size in range(4, len(skipped)):
        assert complain(skipped[:size], 0) == "the data end too early"


def test_a_frame_may_not_reach_into_the_one_before() -> None:
    """Its match would be in the output, but not in its frame."""
    second = packed(raw_literals(b"a"), sequences(1, (1, 4, 0), b"\x10"))
    assert "a match reaches back 13 bytes" in complain(library.compress(TEXT) + second, len(TEXT) + 4)


def test_blocks_of_all_plain_kinds_come_back() -> None:
    blocks = block(b"raw", last=False), block(b"r", kind=RLE, size=1000, last=False), block(b"")
    assert unpack(frame(*blocks), 1003) == b"raw" + b"r" * 1000


def test_the_least_compressed_blocks_come_back() -> None:
    assert unpack(packed(raw_literals(b"ab"), b"\0"), 2) == b"ab"
    assert unpack(packed(b"\x29b", b"\0"), 5) == b"b" * 5
    assert unpack(packed(raw_literals(b"ab"), sequences(1, (2, 0, 0), b"\1")), 5) == b"abbbb"
    two_codes = b"\x80\x10"
    assert unpack(packed(huffman_literals(4, two_codes + b"\x15"), b"\0"), 4) == b"\0\1\0\1"


def test_cut_anywhere_it_is_an_error() -> None:
    for checksum in (0, 1):
        whole = library.compress(TEXT + mixed(3000), options={Parameter.checksum_flag: checksum})
        for size in range(len(whole)):
            assert complain(whole[:size], len(TEXT) + 3000)


def test_any_flipped_bit_is_an_error_or_no_matter() -> None:
    for level in (1, 19):
        whole = library.compress(TEXT + mixed(1000), level, options=None)
        for bit in range(8 * len(whole)):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            try:
                out = unpack(bytes(damaged), len(TEXT) + 1000)
            except BootError as error:
                assert str(error).startswith("zstd: ")  # noqa: PT017 - both outcomes are good
            else:
                assert out == library.decompress(bytes(damaged))


@pytest.mark.parametrize("rubbish", [b"\0", b"\0\0\0\0", b"rubbish", TEXT])
def test_rubbish_behind_the_frame_is_an_error(rubbish: bytes) -> None:
    whole = library.compress(TEXT)
    assert complain(whole + rubbish, len(TEXT)) == f"no frame begins at byte {len(whole)}"


@pytest.mark.parametrize("start", [b"", b"\x28\xb5\x2f", b"\x27\xb5\x2f\xfd", b"\x1f\x8b\x08\0", bytes(100)])
def test_what_is_no_frame_is_an_error(start: bytes) -> None:
    assert complain(start, 0) == "no frame begins at byte 0"


def test_another_size_than_stated_is_an_error() -> None:
    for told in (0, 1):
        whole = library.compress(TEXT, options={Parameter.content_size_flag: told})
        assert complain(whole, len(TEXT) + 1) == f"the data unpack to {len(TEXT)} bytes instead of {len(TEXT) + 1}"
        assert "more" in complain(whole, len(TEXT) - 1)


def test_a_bomb_ends_at_the_outputs_end() -> None:
    for told in (0, 1):
        bomb = library.compress(bytes(100 << 20), options={Parameter.content_size_flag: told})
        assert complain(bomb, CHUNK) == f"the data unpack to more than {CHUNK} bytes"


def test_a_wrong_sum_is_an_error() -> None:
    whole = bytearray(library.compress(TEXT, options={Parameter.checksum_flag: 1}))
    whole[-1] ^= 0x80
    assert complain(bytes(whole), len(TEXT)) == f"the bytes from 0 to {len(TEXT)} are wrong (checksum)"


def test_a_dictionary_is_refused_by_its_number() -> None:
    for flag, size in ((1, 1), (2, 2), (3, 4)):
        header = b"\x38" + (77).to_bytes(size, "little")
        message = "dictionaries are not supported (it asks for number 77)"
        assert complain(frame(block(b"x"), flags=flag, header=header), 1) == message
        none = frame(block(b"x"), flags=flag, header=b"\x38" + bytes(size))
        assert unpack(none, 1) == b"x"


TABLE = b"\x80\x10"
"""Of Huffman codes: one bit each for 0 and 1."""
WRONG = {
    "header": (frame(block(b"x"), flags=0x08), "a frame's header has its reserved bit set"),
    "window": (frame(block(b"x"), header=b"\x90"), "a window of 28 bits; 27 are the most"),
    "size": (frame(block(b"x"), flags=0x20, header=b"\5"), "a frame unpacks to 1 bytes instead of 5"),
    "kind": (frame(block(b"x", kind=3)), "a block of a reserved kind"),
    "block": (frame(block(b"", size=BLOCK_MAX + 1)), f"a block of {BLOCK_MAX + 1} bytes; {BLOCK_MAX} are the most"),
    "small window": (frame(block(b"x" * 1025), header=b"\0"), "a block of 1025 bytes; 1024 are the most"),
    "contents": (
        packed(raw_literals(b"a"), sequences(1, (1, 0, 52), b"\0\0\1"), header=b"\0"),
        "a block unpacks to more than 1024 bytes",
    ),
    "literals": (
        packed(b"\xfd\xff\xff", b"\0"),
        f"a block with {(1 << 20) - 1} literals; {BLOCK_MAX} bytes are the most",
    ),
    "no table": (packed(huffman_literals(4, b""), b"\0"), "literals without their table"),
    "cut table": (packed(huffman_literals(4, b"\xff\x10"), b"\0"), "literals without their table"),
    "treeless": (
        packed(huffman_literals(4, b"\x15", kind=TREELESS), b"\0"),
        "literals without a table, and none before them",
    ),
    "weight": (packed(huffman_literals(4, b"\x80\xf0\1"), b"\0"), "a literal's weight is 15; 11 is the most"),
    "no weights": (packed(huffman_literals(4, b"\x80\0\1"), b"\0"), "the weights of the literals' codes do not add up"),
    "one weight": (
        packed(huffman_literals(4, b"\x80\x20\1"), b"\0"),
        "the weights of the literals' codes do not add up",
    ),
    "odd weights": (
        packed(huffman_literals(4, b"\x82\x14\x10\1"), b"\0"),
        "the weights of the literals' codes do not add up",
    ),
    "endless weights": (
        packed(huffman_literals(4, b"\4\xf0\3\0\4"), b"\0"),
        "a table of literals has more symbols than there are bytes",
    ),
    "short weights": (packed(huffman_literals(4, b"\3\xf0\3\1"), b"\0"), "a table of literals is cut off"),
    "weight states": (packed(huffman_literals(4, b"\2\x02\1"), b"\0"), "a table with states of 7 bits; 6 are the most"),
    "more literals": (
        packed(huffman_literals(5, TABLE + b"\x15"), b"\0"),
        "a stream of literals is not used up by them",
    ),
    "fewer literals": (
        packed(huffman_literals(3, TABLE + b"\x15"), b"\0"),
        "a stream of literals is not used up by them",
    ),
    "no stream": (packed(huffman_literals(3, TABLE), b"\0"), "a stream of bits without a byte"),
    "no mark": (packed(huffman_literals(3, TABLE + b"\x15\0"), b"\0"), "a stream of bits without its end mark"),
    "no sizes": (
        packed(huffman_literals(9, TABLE + b"\1", form=1), b"\0"),
        "four streams of literals without their sizes",
    ),
    "few literals": (
        packed(huffman_literals(5, TABLE + b"\1\0\1\0\1\0\1\1\1\1", form=1), b"\0"),
        "four streams of literals without their sizes",
    ),
    "sizes": (
        packed(huffman_literals(9, TABLE + b"\xff\0\1\0\1\0\1\1\1\1", form=1), b"\0"),
        "four streams of literals are longer than their block",
    ),
    "trailing": (packed(raw_literals(b"a"), b"\0x"), "bytes follow a block without sequences"),
    "reserved": (packed(raw_literals(b"a"), b"\1\x55\0\0\0\1"), "sequences with a reserved bit set"),
    "repeat": (packed(raw_literals(b"a"), b"\1\xfc\1"), "sequences without a table, and none before them"),
    "literal length": (
        packed(raw_literals(b"a"), sequences(1, (36, 0, 0), b"\1")),
        "a table has more symbols than there are",
    ),
    "offset": (packed(raw_literals(b"a"), sequences(1, (0, 32, 0), b"\1")), "a table has more symbols than there are"),
    "match length": (
        packed(raw_literals(b"a"), sequences(1, (0, 0, 53), b"\1")),
        "a table has more symbols than there are",
    ),
    "states": (packed(raw_literals(b"a"), b"\1\x80\x05\1"), "a table with states of 10 bits; 9 are the most"),
    "offset states": (packed(raw_literals(b"a"), b"\1\x20\x04\1"), "a table with states of 9 bits; 8 are the most"),
    "cut states": (packed(raw_literals(b"a"), b"\1\x80"), "a table of states is cut off"),
    "short states": (packed(raw_literals(b"a"), b"\1\x80\x10"), "a table of states is cut off"),
    "many states": (
        packed(raw_literals(b"a"), b"\1\x80" + (0x10 | 0x3FFF_FFFF << 9).to_bytes(8, "little")),
        "a table has more symbols than there are",
    ),
    "no bits": (packed(raw_literals(b"a"), sequences(1, (1, 0, 0), b"")), "a stream of bits without a byte"),
    "left bits": (
        packed(raw_literals(b"a"), sequences(1, (1, 0, 0), b"\3")),
        "the bits of the sequences are not used up by them",
    ),
    "few bits": (
        packed(raw_literals(b"a"), sequences(1, (1, 0, 32), b"\1")),
        "the bits of the sequences are not used up by them",
    ),
    "no more bits": (packed(raw_literals(b"a"), sequences(300, (0, 1, 32), b"\1")), "a match reaches back 8 bytes"),
    "far beyond": (packed(raw_literals(b"abc"), sequences(900, (0, 0, 32), b"\1")), "a match reaches back 4 bytes"),
    "taken": (
        packed(raw_literals(b"a"), sequences(1, (2, 0, 0), b"\1")),
        "the sequences take more literals than their block has",
    ),
    "back": (packed(raw_literals(b"a"), sequences(1, (1, 3, 0), b"\x08")), "a match reaches back 5 bytes"),
    "zero back": (packed(raw_literals(b"abc"), sequences(1, (0, 1, 0), b"\3")), "a match reaches back 0 bytes"),
}


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    assert complain(data, 100_000).startswith(message)
    with pytest.raises(library.ZstdError):
        library.decompress(data)


def test_a_compressed_block_without_contents_is_an_error() -> None:
    """Zstandard's library takes it for an empty one."""
    assert complain(packed(), 0) == "the data end too early"


def test_bits_that_would_lie_before_the_data_are_an_error() -> None:
    """Each of the sequences takes a bit more than there is: the frame's own headers are read, and then nothing."""
    literals = (RLE | 1 << 2 | 300 << 4).to_bytes(2, "little") + b"a"
    endless = packed(literals, sequences(300, (1, 0, 32), b"\1"))
    assert complain(endless, 100_000) == "a stream of bits is too short"


def test_a_match_beyond_the_output_is_an_error() -> None:
    for size in (0, 1, 1000):
        data = packed(raw_literals(b"a"), sequences(1, (1, 0, 52), b"\0\0\1"))
        assert complain(data, size) == "the sequences unpack to more bytes than there have to be"


def test_too_little_work_memory_is_an_error() -> None:
    out = Guarded(len(TEXT))
    with pytest.raises(BootError):
        zstd.decode(span(library.compress(TEXT)), out.span, span(bytearray(zstd.WORK_BYTES - 1)))
    assert out.data == b"\xa5" * len(TEXT)


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits."""

    def test_it_unpacks(self, target: Target) -> None:
        machine = bare(target)
        for data in (b"", TEXT, mixed(300_000), bytes(3000), random.Random(3).randbytes(3000)):
            for level in (-5, 3, 19):
                out = bytearray(len(data))
                work = bytearray(b"\xcc") * zstd.WORK_BYTES
                packed_data = library.compress(data, options={Parameter.compression_level: level, **CHECKED})
                machine.call(zstd.decode, packed_data, out, work)
                assert out == data

    def test_it_refuses_damage(self, target: Target) -> None:
        machine = bare(target)
        whole = library.compress(TEXT, 19)
        work = bytearray(zstd.WORK_BYTES)
        for size in range(0, len(whole), 5):
            with pytest.raises(BootError, match=r"^zstd: .* \[boot/codecs/zstd(_tables|_passes)?.py:\d+\]$"):
                machine.call(zstd.decode, whole[:size], bytearray(len(TEXT)), work)
        for bit in range(0, 8 * len(whole), 13):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            out = bytearray(len(TEXT))
            try:
                machine.call(zstd.decode, bytes(damaged), out, work)
            except BootError:
                continue
            assert out == library.decompress(bytes(damaged))

    @pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
    def test_it_names_what_is_wrong(self, target: Target, data: bytes, message: str) -> None:
        with pytest.raises(BootError) as caught:
            bare(target).call(zstd.decode, data, bytearray(100_000), bytearray(zstd.WORK_BYTES))
        assert str(caught.value).startswith(f"zstd: {message}")


@cache
def bare(target: Target) -> Bare:
    return Bare(target, zstd.decode)

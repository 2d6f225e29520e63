"""Does the LZ4 decoder give what was packed, and a named error for everything else?"""

from __future__ import annotations

import random
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lz4 import block as block_library
from lz4 import frame as library

from bootslang.boot.codecs import lz4
from bootslang.slang import BootError
from support.bare import Bare, Target
from support.decoding import TEXT, Decoder, flips, mixed
from support.lz4_writer import (
    BLOCK_CHECKSUMS,
    CONTENT_CHECKSUM,
    CONTENT_SIZE,
    DICTIONARY,
    INDEPENDENT,
    LEGACY_MAGIC,
    RESERVED,
    VERSION,
    block,
    checksum,
    frame,
    header,
    read_block,
    sequence,
)

LZ4 = Decoder(lz4, "lz4")
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
CHECKED = {"block_checksum": True, "content_checksum": True}
PACKED = library.compress(TEXT, **CHECKED)


def packed_block(data: bytes) -> bytes:
    made: bytes = block_library.compress(data, store_size=False, mode="high_compression")
    return made


def legacy(*parts: bytes) -> bytes:
    return LEGACY_MAGIC + b"".join(block(packed_block(part)) for part in parts)


@pytest.mark.parametrize("data", CORPORA.values(), ids=CORPORA)
def test_every_level_comes_back(data: bytes) -> None:
    for level in range(-10, 17):
        assert LZ4.unpack(library.compress(data, level), len(data)) == data, level


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("size", [4, 5, 6, 7])
@pytest.mark.parametrize("level", [0, 9])
def test_every_kind_of_frame_comes_back(size: int, level: int, linked: bool) -> None:  # noqa: FBT001 - pytest's
    data = mixed(300_000, seed=size)
    for options in range(8):
        packed = library.compress(
            data,
            level,
            block_size=size,
            block_linked=linked,
            store_size=bool(options & 1),
            block_checksum=bool(options & 2),
            content_checksum=bool(options & 4),
        )
        assert LZ4.unpack(packed, len(data)) == data


@given(st.binary(max_size=3000), st.integers(0, 12))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, level: int) -> None:
    assert LZ4.unpack(library.compress(data, level), len(data)) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 600)), max_size=10))
@settings(deadline=None)
def test_any_patterns_come_back(patterns: list[tuple[bytes, int]]) -> None:
    """Matches that overlap themselves, at every small distance."""
    data = b"".join(pattern * count for pattern, count in patterns)
    assert LZ4.unpack(library.compress(data, 12), len(data)) == data


@pytest.mark.parametrize("distance", range(1, 40))
def test_matches_of_every_length_come_back(distance: int) -> None:
    start = random.Random(distance).randbytes(distance)
    for count in (4, 5, 7, 8, 9, 15, 16, 17, 18, 19, 20, 31, 32, 33, 273, 274, 275, 1000):
        for rest in (0, 5, 20, 47, 48, 49, 80):
            made = sequence(start, distance, count) + sequence(bytes(rest))
            expected = read_block(made)
            assert LZ4.unpack(frame(block(made)), len(expected)) == expected, (count, rest)


def test_literals_of_every_length_come_back() -> None:
    for count in (*range(40), 269, 270, 271, 1000):
        data = random.Random(count).randbytes(count)
        for rest in (0, 5, 30, 100):
            made = sequence(b"a") if not count else sequence(data, 1, 4) + sequence(bytes(rest))
            expected = read_block(made)
            assert LZ4.unpack(frame(block(made)), len(expected)) == expected, (count, rest)


def test_stored_blocks_come_back() -> None:
    blocks = block(TEXT, stored=True) + block(b"", stored=True) + block(packed_block(TEXT))
    assert LZ4.unpack(frame(blocks), len(TEXT) * 2) == TEXT * 2


def test_frames_one_after_the_other_unpack_as_with_lz4() -> None:
    packed = library.compress(TEXT) + library.compress(b"") + legacy(TEXT) + legacy(b"and") + library.compress(b"more")
    assert LZ4.unpack(packed, len(TEXT) * 2 + 7) == TEXT * 2 + b"andmore"


@pytest.mark.parametrize("digit", [0, 7, 15])
def test_skippable_frames_are_passed_over(digit: int) -> None:
    skipped = bytes([0x50 + digit]) + b"\x2a\x4d\x18" + b"\5\0\0\0" + b"12345"
    assert LZ4.unpack(skipped + legacy(TEXT) + skipped + PACKED + skipped, len(TEXT) * 2) == TEXT * 2
    for size in range(4, len(skipped)):
        assert LZ4.complain(skipped[:size], 0) == "lz4: the data end too early"


def test_legacy_frames_come_back() -> None:
    assert LZ4.unpack(LEGACY_MAGIC, 0) == b""
    assert LZ4.unpack(legacy(TEXT, b"more"), len(TEXT) + 4) == TEXT + b"more"
    data = mixed(8 << 20)
    assert LZ4.unpack(legacy(data, TEXT), len(data) + len(TEXT)) == data + TEXT


def test_a_legacy_block_has_at_most_8_mib() -> None:
    size = (8 << 20) + 1
    assert "a block unpacks to more than it may" in LZ4.complain(legacy(bytes(size)), size)


@pytest.mark.parametrize("packed", [PACKED, library.compress(TEXT, store_size=False), legacy(TEXT)], ids=range(3))
def test_every_truncation_is_an_error(packed: bytes) -> None:
    for size in range(len(packed)):
        LZ4.complain(packed[:size], len(TEXT))
    assert LZ4.unpack(packed, len(TEXT)) == TEXT


def test_every_flipped_bit_is_an_error() -> None:
    for damaged in flips(PACKED):
        LZ4.complain(damaged, len(TEXT))


def test_flipped_bits_without_checksums_are_harmless_or_errors() -> None:
    for damaged in flips(legacy(TEXT)):
        LZ4.outcome(damaged, len(TEXT))


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x1f\x8b\x08" + bytes(30), bytes(4)])
def test_a_wrong_magic_is_an_error(data: bytes) -> None:
    assert LZ4.complain(data, 10).startswith("lz4: no frame begins at byte 0")


@pytest.mark.parametrize("rubbish", [b"\0", b"rubbish"])
def test_trailing_rubbish_is_an_error(rubbish: bytes) -> None:
    assert LZ4.complain(PACKED + rubbish, len(TEXT)).startswith(f"lz4: no frame begins at byte {len(PACKED)}")
    LZ4.complain(legacy(TEXT) + rubbish, len(TEXT))


def test_another_size_than_stated_is_an_error() -> None:
    for packed in (library.compress(TEXT, store_size=False), legacy(TEXT)):
        assert f"{len(TEXT)} bytes instead of {len(TEXT) + 1}" in LZ4.complain(packed, len(TEXT) + 1)
        assert "a block unpacks to more than it may" in LZ4.complain(packed, len(TEXT) - 1)


def test_a_bomb_stops_at_the_stated_size() -> None:
    told = library.compress(bytes(50 << 20))
    untold = library.compress(bytes(50 << 20), store_size=False)
    assert LZ4.complain(told, 4096) == "lz4: the data unpack to more than 4096 bytes"
    assert "a block unpacks to more than it may, up to byte 4096 of" in LZ4.complain(untold, 4096)


SIZED = VERSION | CONTENT_SIZE
WRONG = {
    "version": (header(flags=0x80), "version 2 of the format is not supported"),
    "reserved flag": (header(flags=VERSION | RESERVED), "a frame's header has reserved bits set"),
    "reserved bit": (header(sizes=0x41), "a frame's header has reserved bits set"),
    "block size": (header(sizes=0x30), "impossible block size 3"),
    "header": (header()[:-1] + bytes([header()[-1] ^ 1]), "a frame's header is damaged (checksum)"),
    "dictionary": (
        header(flags=VERSION | DICTIONARY, fields=b"\7\0\0\0"),
        "dictionaries are not supported (it asks for number 7)",
    ),
    "told too much": (
        header(flags=SIZED, fields=(101).to_bytes(8, "little")),
        "the data unpack to more than 100 bytes",
    ),
    "told far too much": (header(flags=SIZED, fields=b"\xff" * 8), "the data unpack to more than 100 bytes"),
    "told more": (
        frame(block(b"\x10a"), flags=SIZED, fields=(2).to_bytes(8, "little")),
        "a frame unpacks to 1 bytes instead of 2",
    ),
    "large block": (frame(block(b"", size=(64 << 10) + 1)), "a block of 65537 bytes; 65536 are the most"),
    "cut block": (frame(block(b"\x10a", size=20)), "the data end too early"),
    "block sum": (
        frame(block(b"\x10a") + checksum(b"\x10b"), flags=VERSION | BLOCK_CHECKSUMS),
        "the block before byte 17 is damaged (checksum)",
    ),
    "content sum": (
        frame(block(b"\x10a"), flags=VERSION | CONTENT_CHECKSUM) + checksum(b"b"),
        "the bytes from 0 to 1 are wrong (checksum)",
    ),
    "literals cut": (frame(block(b"\x20a")), "the data end too early"),
    "no distance": (frame(block(b"\x10a\1")), "the data end too early"),
    "no end": (frame(block(sequence(b"a", 1, 4))), "the data end too early"),
    "zero back": (frame(block(sequence(b"a", 0, 4) + b"\0")), "a match reaches back 0 bytes, where 1 are"),
    "far back": (frame(block(sequence(b"a", 2, 4) + b"\0")), "a match reaches back 2 bytes, where 1 are"),
    "other block": (
        frame(block(b"\x10a"), block(sequence(b"", 1, 4) + b"\0"), flags=VERSION | INDEPENDENT),
        "a match reaches back 1 bytes, where 0 are",
    ),
}


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    assert LZ4.complain(data, 100) == f"lz4: {message}"
    with pytest.raises((RuntimeError, MemoryError)):
        library.decompress(data)


def test_blocks_beyond_the_output_are_errors() -> None:
    stored = frame(block(bytes(101), stored=True))
    assert LZ4.complain(stored, 100) == "lz4: the data unpack to more than 100 bytes"
    match = frame(block(sequence(b"a", 1, 100) + sequence(b"rest.")))
    assert LZ4.complain(match, 100) == "lz4: a block unpacks to more than it may, up to byte 100 of the output"


def test_matches_reach_into_the_block_before_if_blocks_are_linked() -> None:
    packed = frame(block(b"\x10a"), block(sequence(b"", 1, 40) + sequence(b"rest.")))
    assert LZ4.unpack(packed, 46) == b"a" * 41 + b"rest."


def test_a_block_is_no_larger_than_its_frame_allows() -> None:
    long = sequence(b"a", 1, 65_531) + sequence(b"rest.")
    assert "a block unpacks to more than it may, up to byte 65536 of" in LZ4.complain(frame(block(long)), 1 << 20)


def test_an_endless_length_is_an_error() -> None:
    """It would take 8 MiB of bytes to say so."""
    data = LEGACY_MAGIC + block(b"\xf0" + b"\xff" * (9 << 20))
    assert LZ4.complain(data, 100) == "lz4: an endless length"


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits."""

    def test_it_unpacks(self, target: Target) -> None:
        machine = bare(target)
        for data in (b"", TEXT, mixed(100_000), bytes(3000), random.Random(3).randbytes(3000)):
            for packed in (library.compress(data, 12, **CHECKED), library.compress(data, block_size=4), legacy(data)):
                out = bytearray(len(data))
                machine.call(lz4.decode, packed, out, bytearray())
                assert out == data

    def test_it_refuses_damage(self, target: Target) -> None:
        machine = bare(target)
        for size in range(0, len(PACKED), 3):
            with pytest.raises(BootError, match=r"^lz4: .* \[boot/codecs/lz4(_blocks)?.py:\d+\]$"):
                machine.call(lz4.decode, PACKED[:size], bytearray(len(TEXT)), bytearray())
        for damaged in flips(PACKED, 7):
            with pytest.raises(BootError, match=r"^lz4: "):
                machine.call(lz4.decode, damaged, bytearray(len(TEXT)), bytearray())

    @pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
    def test_it_names_what_is_wrong(self, target: Target, data: bytes, message: str) -> None:
        with pytest.raises(BootError) as caught:
            bare(target).call(lz4.decode, data, bytearray(100), bytearray())
        assert str(caught.value).startswith(f"lz4: {message}")


@cache
def bare(target: Target) -> Bare:
    return Bare(target, lz4.decode)

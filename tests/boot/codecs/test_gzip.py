"""Does the decoder of gzip files give what was packed, and a named error for everything else?"""

from __future__ import annotations

import gzip as library
import zlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.codecs import gzip
from bootslang.slang import BootError, span
from support.bare import Bare, Target
from support.decoding import TEXT, Decoder, flips, mixed
from support.deflate_writer import END, FIXED, Bits

GZIP = Decoder(gzip, "gzip", "deflate")
HEADER_CRC, EXTRA, NAME, COMMENT = 2, 4, 8, 16


def member(
    data: bytes,
    *,
    method: int = 8,
    flags: int = 0,
    fields: bytes = b"",
    header_crc: int = 0,
    crc: int | None = None,
    size: int | None = None,
) -> bytes:
    """`header_crc` is what is wrong about it."""
    made = b"\x1f\x8b" + bytes([method, flags]) + bytes(6) + fields
    if flags & HEADER_CRC:
        made += (zlib.crc32(made) & 0xFFFF ^ header_crc).to_bytes(2, "little")
    made += zlib.compress(data, 9, -15)
    made += (zlib.crc32(data) if crc is None else crc).to_bytes(4, "little")
    return made + (len(data) if size is None else size).to_bytes(4, "little")


EVERY_FIELD = member(TEXT, flags=0x1F, fields=b"\3\0abcname\0comment\0")


@pytest.mark.parametrize("level", range(10))
def test_every_level_comes_back(level: int) -> None:
    data = mixed(250_000)
    assert GZIP.unpack(library.compress(data, level), len(data)) == data


@given(st.binary(max_size=3000), st.integers(0, 9))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, level: int) -> None:
    assert GZIP.unpack(library.compress(data, level), len(data)) == data


def test_every_field_of_a_header_is_passed_over() -> None:
    assert library.decompress(EVERY_FIELD) == GZIP.unpack(EVERY_FIELD, len(TEXT)) == TEXT
    for flags, fields in ((0, b""), (1, b""), (HEADER_CRC, b""), (EXTRA, b"\0\0"), (NAME, b"\0"), (COMMENT, b"?\0")):
        assert GZIP.unpack(member(TEXT, flags=flags, fields=fields), len(TEXT)) == TEXT


def test_members_one_after_the_other_unpack_as_with_gzip() -> None:
    packed = member(TEXT) + member(b"") + EVERY_FIELD + member(b"more")
    assert GZIP.unpack(packed, len(TEXT) * 2 + 4) == library.decompress(packed) == TEXT * 2 + b"more"


def test_a_match_does_not_reach_into_the_member_before() -> None:
    stream = Bits().header(FIXED).fixed(65, 257).code(1, 5).fixed(END)
    packed = member(b"ab") + member(b"")[:10] + stream.bytes() + bytes(8)
    assert GZIP.complain(packed, 6) == "deflate: a match reaches back 2 bytes, where 1 are"


@pytest.mark.parametrize("packed", [member(TEXT), EVERY_FIELD], ids=["plain", "every field"])
def test_every_truncation_is_an_error(packed: bytes) -> None:
    for size in range(len(packed)):
        assert "the data end too early" in GZIP.complain(packed[:size], len(TEXT)) or size < 2
    assert GZIP.complain(b"", 0) == "gzip: no member begins at byte 0"


@pytest.mark.parametrize("packed", [member(TEXT), EVERY_FIELD], ids=["plain", "every field"])
def test_every_flipped_bit_is_an_error_or_harmless(packed: bytes) -> None:
    for place, damaged in enumerate(flips(packed)):
        found = GZIP.outcome(damaged, len(TEXT))
        assert found in (None, TEXT)
        # Time, level, system and the flag for text are nothing to a decoder, nor are the bits that fill the last byte.
        assert found is None or place // 8 in range(3, 10) or len(packed) - place // 8 == 9


@pytest.mark.parametrize("rubbish", [b"\0", b"rubbish"])
def test_trailing_rubbish_is_an_error(rubbish: bytes) -> None:
    packed = member(TEXT)
    assert GZIP.complain(packed + rubbish, len(TEXT)) == f"gzip: no member begins at byte {len(packed)}"


def test_another_size_than_stated_is_an_error() -> None:
    assert f"{len(TEXT)} bytes instead of {len(TEXT) + 1}" in GZIP.complain(member(TEXT), len(TEXT) + 1)
    assert f"more than {len(TEXT) - 1} bytes" in GZIP.complain(member(TEXT), len(TEXT) - 1)


def test_a_bomb_stops_at_the_stated_size() -> None:
    assert GZIP.complain(member(bytes(50 << 20)), 4096) == "deflate: the data unpack to more than 4096 bytes"


WRONG = {
    "magic": (b"BZh9" + bytes(30), "no member begins at byte 0"),
    "method": (member(TEXT, method=7), "method 7 is not supported"),
    "flags": (member(TEXT, flags=0x20), "a header with reserved bits set"),
    "header": (member(TEXT, flags=HEADER_CRC, header_crc=1), "a header is damaged (CRC-16)"),
    "crc": (member(TEXT, crc=1), f"the bytes from 0 to {len(TEXT)} are wrong (CRC-32)"),
    "size": (member(TEXT, size=1), f"a member unpacks to {len(TEXT)} bytes instead of 1"),
    "extra": (b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + bytes(99), "the data end too early"),
    "name": (b"\x1f\x8b\x08\x08" + bytes(6) + b"name", "the data end too early"),
}


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    assert GZIP.complain(data, len(TEXT)) == f"gzip: {message}"
    assert refused_by_zlib(data)


def refused_by_zlib(data: bytes) -> bool:
    decompressor = zlib.decompressobj(31)
    try:
        decompressor.decompress(data)
    except zlib.error:
        return True
    return not decompressor.eof


def test_too_little_work_memory_is_an_error() -> None:
    with pytest.raises(BootError):
        gzip.decode(span(member(TEXT)), span(bytearray(len(TEXT))), span(bytearray(gzip.WORK_BYTES - 1)))


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits."""

    def test_it_unpacks(self, target: Target) -> None:
        for data in (b"", TEXT, mixed(50_000)):
            out = bytearray(len(data) * 2)
            bare(target).call(gzip.decode, member(data) * 2, out, bytearray(b"\xcc" * gzip.WORK_BYTES))
            assert out == data * 2

    @pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
    def test_it_names_what_is_wrong(self, target: Target, data: bytes, message: str) -> None:
        with pytest.raises(BootError) as caught:
            bare(target).call(gzip.decode, data, bytearray(len(TEXT)), bytearray(gzip.WORK_BYTES))
        assert str(caught.value).startswith(f"gzip: {message}")


@cache
def bare(target: Target) -> Bare:
    return Bare(target, gzip.decode)

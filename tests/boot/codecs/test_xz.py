"""Does the xz decoder give what was packed, and a named error for everything else?"""

from __future__ import annotations

import lzma
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.codecs import xz
from bootslang.slang import BootError, span
from support.bare import Bare, Target
from support.decoding import TEXT, Decoder, calls, flips, mixed
from support.xz_writer import LZMA2, X86, Block, chunks, number, padded, stream

XZ = Decoder(xz, "xz", "lzma")
CHECKS = [lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64]
COMMON = [(lc, lp, pb) for lc in range(5) for lp in range(5 - lc) for pb in range(5)]
PACKED = lzma.compress(TEXT, check=lzma.CHECK_CRC32)


def pack(data: bytes, *, check: int = lzma.CHECK_NONE, **options: Any) -> bytes:
    return lzma.compress(data, check=check, filters=[{"id": lzma.FILTER_LZMA2, **options}])


def with_x86(data: bytes, *, start: int = 0, check: int = lzma.CHECK_NONE) -> bytes:
    filters = [{"id": lzma.FILTER_X86, "start_offset": start}, {"id": lzma.FILTER_LZMA2, "preset": 0}]
    return lzma.compress(data, check=check, filters=filters)


@pytest.mark.parametrize("preset", [*range(10), 3 | lzma.PRESET_EXTREME, 9 | lzma.PRESET_EXTREME])
def test_every_preset_comes_back(preset: int) -> None:
    data = mixed(250_000)
    assert XZ.unpack(lzma.compress(data, preset=preset), len(data)) == data


@pytest.mark.parametrize(("lc", "lp", "pb"), COMMON)
def test_every_choice_of_contexts_comes_back(lc: int, lp: int, pb: int) -> None:
    data = mixed(20_000, seed=lc + lp)
    assert XZ.unpack(pack(data, lc=lc, lp=lp, pb=pb), len(data)) == data


@pytest.mark.parametrize("finder", [lzma.MF_HC3, lzma.MF_HC4, lzma.MF_BT2, lzma.MF_BT3, lzma.MF_BT4])
@pytest.mark.parametrize("mode", [lzma.MODE_FAST, lzma.MODE_NORMAL])
@pytest.mark.parametrize("dictionary", [4096, 1 << 20, 64 << 20])
def test_every_match_finder_and_dictionary_comes_back(finder: int, mode: int, dictionary: int) -> None:
    data = mixed(100_000, seed=finder)
    assert XZ.unpack(pack(data, mf=finder, mode=mode, dict_size=dictionary), len(data)) == data


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_comes_back(check: int) -> None:
    for size in (*range(20), 1000, 1001, 1007):
        data = mixed(size)
        assert XZ.unpack(lzma.compress(data, check=check), size) == data


def test_a_whole_chunk_of_a_disk_comes_back() -> None:
    data = mixed(1 << 20)
    assert XZ.unpack(with_x86(data), len(data)) == data


def test_more_than_one_chunk_of_2_mib_comes_back() -> None:
    data = bytes(3 << 20) + TEXT
    assert XZ.unpack(lzma.compress(data), len(data)) == data


@pytest.mark.parametrize("period", range(1, 20))
def test_patterns_of_every_length_come_back(period: int) -> None:
    pattern = random.Random(period).randbytes(period)
    for size in (period + 1, period + 2, period + 9, 300, 1000):
        data = (pattern * (size // period + 1))[:size]
        assert XZ.unpack(pack(data), size) == data


def test_matches_reach_back_over_the_whole_output() -> None:
    noise = random.Random(5).randbytes(200_000)
    assert XZ.unpack(pack(noise + noise[:1000] + noise[-1000:]), 202_000) == noise + noise[:1000] + noise[-1000:]


@given(st.binary(max_size=3000), st.integers(0, 9), st.sampled_from(CHECKS))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, preset: int, check: int) -> None:
    assert XZ.unpack(lzma.compress(data, preset=preset, check=check), len(data)) == data


@pytest.mark.parametrize("start", [0, 4096, 0xFFFF_F000])
def test_the_x86_filter_is_undone(start: int) -> None:
    for seed, size in enumerate([*range(40), 1000, 100_000]):
        data = calls(size, seed)
        assert XZ.unpack(with_x86(data, start=start), size) == data


@given(st.lists(st.sampled_from([b"\xe8", b"\xe9", b"\0", b"\xff", b"\x7f", b"12345678"]), max_size=60))
@settings(deadline=None, max_examples=500)
def test_the_x86_filter_is_undone_wherever_the_opcodes_stand(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert XZ.unpack(with_x86(data), len(data)) == data


def test_the_x86_filter_begins_anew_in_each_block() -> None:
    first, second = calls(999, 1), calls(1001, 2)
    blocks = [Block(data, chunks(data, x86=True), filters=X86 + LZMA2) for data in (first, second)]
    packed = stream(*blocks)
    assert lzma.decompress(packed) == XZ.unpack(packed, 2000) == first + second


def test_an_empty_file_unpacks_to_nothing() -> None:
    assert XZ.unpack(lzma.compress(b""), 0) == b""
    assert XZ.unpack(stream(Block(b"")), 0) == b""


def test_blocks_with_sizes_and_without_come_back() -> None:
    packed = stream(Block(TEXT, sizes=True), Block(b"more"), Block(b""), Block(mixed(70_000), sizes=True))
    data = TEXT + b"more" + mixed(70_000)
    assert lzma.decompress(packed) == XZ.unpack(packed, len(data)) == data


def test_a_dictionary_larger_than_memory_takes_none() -> None:
    """The code 40 is 4 GiB: the output is the dictionary."""
    assert XZ.unpack(stream(Block(TEXT, filters=b"\x21\x01\x28")), len(TEXT)) == TEXT


def test_streams_and_their_padding_are_unpacked_one_after_the_other() -> None:
    packed = PACKED + lzma.compress(b"") + bytes(8) + lzma.compress(b"more", check=lzma.CHECK_NONE) + bytes(4)
    assert XZ.unpack(packed, len(TEXT) + 4) == TEXT + b"more"


@pytest.mark.parametrize("check", CHECKS)
def test_every_truncation_is_an_error(check: int) -> None:
    packed = lzma.compress(TEXT, check=check)
    for size in range(len(packed)):
        XZ.complain(packed[:size], len(TEXT))
    assert "the data end too early" in XZ.complain(b"", 0)


@pytest.mark.parametrize("check", [lzma.CHECK_CRC32, lzma.CHECK_CRC64])
def test_every_flipped_bit_is_an_error(check: int) -> None:
    for packed in flips(lzma.compress(TEXT, check=check)):
        XZ.complain(packed, len(TEXT))


def test_flipped_bits_without_a_check_do_what_liblzma_does() -> None:
    for packed in flips(lzma.compress(TEXT, check=lzma.CHECK_NONE)):
        found = XZ.outcome(packed, len(TEXT))
        assert found is None or found == lzma.decompress(packed)


@pytest.mark.parametrize("difference", [-len(TEXT), -1, 1, 100])
def test_another_size_is_an_error(difference: int) -> None:
    assert "unpack to" in XZ.complain(PACKED, len(TEXT) + difference)


def test_a_bomb_stops_at_the_end_of_the_output() -> None:
    assert "the data unpack to more than 1000 bytes" in XZ.complain(lzma.compress(bytes(30 << 20)), 1000)
    stored = lzma.compress(random.Random(1).randbytes(100_000), preset=0)
    assert "the data unpack to more than 1000 bytes" in XZ.complain(stored, 1000)


@pytest.mark.parametrize("rubbish", [b"x", b"\0", b"\0\0\0", bytes(5), b"\0\0\0x", b"rubbish of more than a few bytes"])
def test_rubbish_behind_the_stream_is_an_error(rubbish: bytes) -> None:
    XZ.complain(PACKED + rubbish, len(TEXT))


@pytest.mark.parametrize("other", [b"BZh91AY&SY", b"\x1f\x8b\x08", b"\x5d\0\0\x10\0", bytes(100)])
def test_other_formats_are_an_error(other: bytes) -> None:
    assert "xz: no stream begins at byte 0" in XZ.complain(other.ljust(100, b"\0"), 10)


def test_checks_that_are_not_verified_are_refused_by_name() -> None:
    assert "SHA-256 is not supported" in XZ.complain(lzma.compress(TEXT, check=lzma.CHECK_SHA256), len(TEXT))
    assert "check 2 is unknown" in XZ.complain(stream(Block(TEXT), check=2), len(TEXT))


@pytest.mark.parametrize("kind", [lzma.FILTER_DELTA, lzma.FILTER_ARM, lzma.FILTER_POWERPC])
def test_other_filters_are_refused_by_name(kind: int) -> None:
    packed = lzma.compress(TEXT, filters=[{"id": kind}, {"id": lzma.FILTER_LZMA2}])
    assert f"xz: filter {kind:#x} is not supported here" in XZ.complain(packed, len(TEXT))


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (stream(flags=b"\1\0"), "the stream's header uses a later version"),
        (stream(Block(TEXT, flags=4)), "a block's header uses a later version"),
        (stream(Block(TEXT, header_padding=b"\0\0\0\0\1")), "a block's header uses a later version"),
        (stream(Block(TEXT, sizes=True, packed=9)), "a block's packed size is not what its header says"),
        (stream(Block(TEXT, sizes=True, unpacked=9)), "a block's unpacked size is not what its header says"),
        (stream(Block(TEXT, sizes=True, packed=2**63)), "a number that is too long"),
        (stream(Block(TEXT, checksum=b"abcd")), "a block's bytes are wrong (CRC-32)"),
        (stream(Block(b"12", filters=b"\x21\x01\x29")), "impossible properties of LZMA2"),
        (stream(Block(b"12", filters=b"\x21\x02\x10\x10")), "impossible properties of LZMA2"),
        (stream(Block(b"12", filters=X86)), "the data end too early"),
        (stream(Block(b"12", filters=b"\x04\x01\0" + LZMA2)), "impossible properties of the x86 filter"),
        (stream(Block(b"12", filters=X86 + X86)), "filter 0x4 is not supported here"),
        (stream(Block(b"12345", padding=b"\1")), "impossible padding"),
        (stream(Block(TEXT), records=[]), "the index has 0 blocks, and the stream 1"),
        (stream(Block(TEXT), records=[(1, 2)]), "the index contradicts the blocks"),
        (stream(index=b"\0\0\0\1"), "impossible padding"),
        (stream(index=padded(b"\0" + number(0, length=2))), "a number that is too long"),
        (stream(Block(TEXT), backward=1), "the stream's footer contradicts the stream"),
        (stream(Block(TEXT), footer_flags=b"\0\0"), "the stream's footer contradicts the stream"),
        (stream(Block(TEXT))[:-1] + b"?", "the stream's footer is damaged"),
    ],
    ids=range(20),
)
def test_wrong_fields_are_named(packed: bytes, problem: str) -> None:
    assert problem in XZ.complain(packed, len(TEXT))
    with pytest.raises(lzma.LZMAError):
        lzma.decompress(packed)


SYMBOLS = chunks(TEXT)
PROPERTIES = 5
"""Where a first chunk has its properties, behind control and sizes."""


def changed(place: int, byte: int) -> bytes:
    return SYMBOLS[:place] + bytes([byte]) + SYMBOLS[place + 1 :]


@pytest.mark.parametrize(
    ("symbols", "problem"),
    [
        (b"\x03\0\0a\0", "a chunk with the impossible control byte 0x3"),
        (b"\x02\0\0a\0", "the first chunk does not reset the dictionary"),
        (changed(0, 0x80), "a chunk lacks the reset that it needs"),
        (changed(0, 0xC0), "a chunk lacks the reset that it needs"),
        (b"\x01\0\0a" + changed(0, 0xA0), "a chunk lacks the reset that it needs"),
        (changed(PROPERTIES, 225), "lzma: impossible properties 0xe1"),
        (changed(PROPERTIES, 4 * 9 + 1), "lzma: lc=1 and lp=4, more than 4 together, are not supported"),
        (changed(PROPERTIES + 1, 1), "lzma: no range coder begins at byte"),
        (SYMBOLS[:4] + b"\3" + SYMBOLS[5:10] + b"\0", "lzma: a chunk of 4 bytes"),
        (SYMBOLS[:3] + b"\xff\xff" + SYMBOLS[5:], "the data end too early"),
        (SYMBOLS[:2] + bytes([SYMBOLS[2] - 1]) + SYMBOLS[3:], "lzma: "),
        (SYMBOLS[:4] + bytes([SYMBOLS[4] - 1]) + SYMBOLS[5:], "lzma: a chunk does not end where it says"),
    ],
    ids=range(12),
)
def test_wrong_chunks_are_named(symbols: bytes, problem: str) -> None:
    packed = stream(Block(TEXT, symbols))
    assert problem in XZ.complain(packed, len(TEXT) + 1)
    with pytest.raises(lzma.LZMAError):
        lzma.decompress(packed)


def test_a_reset_of_the_dictionary_ends_what_can_be_referred_to() -> None:
    stored = b"\x01" + (len(TEXT) - 1).to_bytes(2, "big") + TEXT
    assert XZ.unpack(stream(Block(TEXT * 2, stored + SYMBOLS)), 2 * len(TEXT)) == TEXT * 2


def test_too_little_work_memory_is_an_error() -> None:
    with pytest.raises(BootError):
        xz.decode(span(PACKED), span(bytearray(len(TEXT))), span(bytearray(xz.WORK_BYTES - 1)))


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits, as the machine runs it."""

    def test_it_unpacks(self, target: Target) -> None:
        machine = Bare(target, xz.decode)
        for data in (b"", TEXT, mixed(20_000), bytes(3000), calls(3000)):
            for check in CHECKS:
                out = bytearray(len(data))
                machine.call(xz.decode, with_x86(data, check=check), out, bytearray(xz.WORK_BYTES))
                assert out == data

    def test_it_refuses_damage(self, target: Target) -> None:
        machine = Bare(target, xz.decode)
        work = bytearray(xz.WORK_BYTES)
        for size in range(0, len(PACKED), 7):
            with pytest.raises(BootError, match=r"^(xz|lzma): .* \[boot/codecs/(xz|lzma2|lzma_symbols).py:\d+\]$"):
                machine.call(xz.decode, PACKED[:size], bytearray(len(TEXT)), work)
        for damaged in flips(PACKED, 13):
            with pytest.raises(BootError, match=r"^(xz|lzma): "):
                machine.call(xz.decode, damaged, bytearray(len(TEXT)), work)

"""Does the bzip2 decoder give what was packed, and a named error for everything else?"""

from __future__ import annotations

import bz2
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootslang.boot.codecs import bzip2
from bootslang.slang import BootError, span
from support.bare import Bare, Target
from support.bzip2_writer import Block, stream
from support.guarded import Guarded

WORK = Guarded(bzip2.WORK_BYTES)
TEXT = b"She sells sea shells by the sea shore; the shells she sells are surely sea shells. " * 3


def unpack(packed: bytes, size: int) -> bytes:
    out = Guarded(size)
    try:
        bzip2.decode(span(packed), out.span, WORK.span)
    finally:
        out.check()
        WORK.check()
    return out.data


def complain(packed: bytes, size: int) -> str:
    with pytest.raises(BootError) as caught:
        unpack(packed, size)
    return str(caught.value)


def mixed(size: int, seed: int = 1) -> bytes:
    """Text-like, random and constant stretches in turn."""
    generator = random.Random(seed)
    data = bytearray()
    while len(data) < size:
        kind = generator.randrange(3)
        if kind == 0:
            data += generator.randbytes(generator.randrange(1, 5000))
        elif kind == 1:
            data += bytes([generator.randrange(256)]) * generator.randrange(1, 5000)
        else:
            data += bytes(generator.choices(b"etaoin shrdlu\n", k=generator.randrange(1, 5000)))
    return bytes(data[:size])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 255, 256, 258, 259, 260, 263, 264, 1000, 65536])
def test_runs_of_every_length_come_back(size: int) -> None:
    data = b"\0" * size
    assert unpack(bz2.compress(data), size) == data


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_comes_back(level: int) -> None:
    data = mixed(250_000)
    assert unpack(bz2.compress(data, level), len(data)) == data


def test_a_whole_chunk_of_two_blocks_comes_back() -> None:
    data = mixed(1 << 20)
    assert unpack(bz2.compress(data, 9), len(data)) == data


def test_all_byte_values_come_back() -> None:
    data = bytes(range(256)) * 40 + bytes(reversed(range(256))) * 40
    assert unpack(bz2.compress(data), len(data)) == data


@given(st.binary(max_size=3000), st.integers(1, 9))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes, level: int) -> None:
    assert unpack(bz2.compress(data, level), len(data)) == data


@given(st.lists(st.tuples(st.sampled_from(b"abc\0"), st.integers(1, 600)), max_size=30))
@settings(deadline=None)
def test_any_runs_come_back(runs: list[tuple[int, int]]) -> None:
    data = b"".join(bytes([byte]) * count for byte, count in runs)
    assert unpack(bz2.compress(data), len(data)) == data


def test_an_empty_stream_unpacks_to_nothing() -> None:
    assert unpack(bz2.compress(b""), 0) == b""


def test_streams_one_after_the_other_unpack_as_in_python() -> None:
    packed = bz2.compress(TEXT) + bz2.compress(b"") + bz2.compress(b"more")
    assert unpack(packed, len(TEXT) + 4) == bz2.decompress(packed) == TEXT + b"more"


def test_the_writer_of_these_tests_writes_bzip2() -> None:
    packed = stream(Block(TEXT), Block(b"aaaaaaab"))
    assert bz2.decompress(packed) == unpack(packed, len(TEXT) + 8) == TEXT + b"aaaaaaab"


def test_codes_of_twenty_bits_come_back() -> None:
    data = bytes(range(30))
    lengths = [*range(1, 15), *[20] * 18]
    packed = stream(Block(data, tables=[lengths, lengths]))
    assert bz2.decompress(packed) == data
    assert unpack(packed, len(data)) == data


def test_six_tables_in_turn_come_back() -> None:
    used = len(set(TEXT)) + 2
    tables = [[bits] * used for bits in (5, 6, 7, 9, 12, 17)]
    packed = stream(Block(TEXT, tables=tables))
    assert bz2.decompress(packed) == unpack(packed, len(TEXT)) == TEXT


def test_more_selectors_than_needed_are_no_harm() -> None:
    packed = stream(Block(TEXT, selectors=[0, 1] * 2000))
    assert bz2.decompress(packed) == unpack(packed, len(TEXT)) == TEXT


def test_every_truncation_is_an_error() -> None:
    packed = bz2.compress(TEXT)
    for size in range(len(packed)):
        message = complain(packed[:size], len(TEXT))
        assert message.startswith("bzip2: "), (size, message)
    assert "the data end too early" in complain(packed[:-1], len(TEXT))
    assert "the data end too early" in complain(b"", 0)


def test_every_flipped_bit_is_an_error_or_harmless() -> None:
    packed = bz2.compress(TEXT)
    outcomes = [outcome(flipped(packed, bit), len(TEXT)) for bit in range(len(packed) * 8)]
    assert all(result == TEXT or str(result).startswith("bzip2: ") for result in outcomes)
    # The padding's bits, a larger block size, lengths of codes that no symbol uses.
    assert sum(result == TEXT for result in outcomes) < 12


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(damaged)


def outcome(packed: bytes, size: int) -> bytes | BootError:
    try:
        return unpack(packed, size)
    except BootError as error:
        return error


def test_a_wrong_magic_is_an_error() -> None:
    assert "no stream begins at byte 0" in complain(stream(Block(TEXT), magic=b"BZ0"), len(TEXT))
    assert "no stream begins at byte 0" in complain(b"\x1f\x8b\x08" + bytes(30), len(TEXT))


@pytest.mark.parametrize("digit", [b"0", b":", b"\0", b"\xff"])
def test_an_impossible_block_size_is_an_error(digit: bytes) -> None:
    packed = bz2.compress(TEXT)
    assert "impossible block size" in complain(packed[:3] + digit + packed[4:], len(TEXT))


def test_trailing_rubbish_is_an_error() -> None:
    packed = bz2.compress(TEXT)
    assert f"no stream begins at byte {len(packed)}" in complain(packed + b"rubbish", len(TEXT))
    assert "bzip2: " in complain(packed + b"\0", len(TEXT))


def test_wrong_checksums_are_errors() -> None:
    assert "block checksum" in complain(stream(Block(TEXT, checksum=1)), len(TEXT))
    assert "stream checksum" in complain(stream(Block(TEXT), checksum=1), len(TEXT))


def test_a_bomb_stops_at_the_stated_size() -> None:
    bomb = bz2.compress(bytes(50 << 20))
    assert "more than 4096 bytes" in complain(bomb, 4096)
    assert "more than 4096 bytes" in complain(bz2.compress(random.Random(1).randbytes(4097)), 4096)


def test_less_than_the_stated_size_is_an_error() -> None:
    assert f"{len(TEXT)} bytes instead of {len(TEXT) + 1}" in complain(bz2.compress(TEXT), len(TEXT) + 1)


def test_a_randomised_block_is_an_error() -> None:
    assert "randomised blocks are not supported" in complain(stream(Block(TEXT, randomised=1)), len(TEXT))


def test_an_origin_outside_the_block_is_an_error() -> None:
    assert "starts at its byte" in complain(stream(Block(TEXT, origin=len(TEXT))), len(TEXT))
    assert "starts at its byte" in complain(stream(Block(TEXT, origin=0xFF_FFFF)), len(TEXT))


def test_an_empty_block_is_an_error() -> None:
    assert "a block of 0 bytes starts at its byte 0" in complain(stream(Block(b"", used=[0x41])), 0)
    assert "a block without any byte" in complain(stream(Block(b"", tables=[[1, 1], [1, 1]])), 0)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_impossible_number_of_tables_is_an_error(count: int) -> None:
    assert f"a block with {count} tables" in complain(stream(Block(TEXT, table_count=count)), len(TEXT))


def test_a_block_without_selectors_is_an_error() -> None:
    assert "a block without selectors" in complain(stream(Block(TEXT, selector_count=0)), len(TEXT))


def test_a_selector_beyond_the_tables_is_an_error() -> None:
    assert "a selector beyond the 2 tables" in complain(stream(Block(TEXT, unary={1: 2})), len(TEXT))
    assert "a selector beyond the 2 tables" in complain(stream(Block(TEXT, unary={0: 300})), len(TEXT))


def test_too_few_selectors_are_an_error() -> None:
    assert "more symbols than its selectors cover" in complain(stream(Block(TEXT, selectors=[0])), len(TEXT))


def test_an_oversubscribed_table_is_an_error() -> None:
    used = len(set(TEXT)) + 2
    flat = [6] * used
    assert "oversubscribed" in complain(stream(Block(TEXT, tables=[flat, [1] * used])), len(TEXT))


@pytest.mark.parametrize("bits", [3, 9, 10, 11, 20])
def test_a_code_that_its_table_lacks_is_an_error(bits: int) -> None:
    packed = stream(Block(b"ab", tables=[[bits] * 4] * 2, raw=[((1 << bits) - 1, bits)]))
    assert "a code that its table does not have" in complain(packed, 2)


def test_impossible_code_lengths_are_errors() -> None:
    used = len(set(TEXT)) + 2
    assert "a code of 0 bits" in complain(stream(Block(TEXT, tables=[[6] * used, [0] + [6] * (used - 1)])), len(TEXT))
    assert "a code of 21 bits" in complain(stream(Block(TEXT, tables=[[6] * used, [21] * used])), len(TEXT))


def test_a_run_beyond_the_block_is_an_error() -> None:
    longest = stream(Block(b"", used=[0x41], symbols=[1] * 21 + [2], tables=[[2] * 3] * 2))
    assert "a run is longer than a block" in complain(longest, 100)
    too_long = stream(Block(b"", used=[0x41], symbols=[1] * 19 + [2], tables=[[2] * 3] * 2))
    assert "a block is larger than its stream allows" in complain(too_long, 100)


def test_a_block_beyond_its_streams_level_is_an_error() -> None:
    packed = bytearray(bz2.compress(random.Random(1).randbytes(250_000), 3))
    packed[3] = ord("1")
    assert "a block is larger than its stream allows" in complain(bytes(packed), 250_000)


def test_a_run_without_its_length_is_an_error() -> None:
    assert "a run lacks its length" in complain(stream(Block(b"aaaa", packed=b"aaaa")), 4)


def test_too_little_work_memory_is_an_error() -> None:
    out = Guarded(4)
    with pytest.raises(BootError):
        bzip2.decode(span(bz2.compress(b"abcd")), out.span, span(bytearray(bzip2.WORK_BYTES - 1)))
    assert out.data == b"\xa5" * 4


@pytest.mark.parametrize("target", ["protected32", "long64"])
class TestOnTheMachine:
    """The same decoder in 32 and in 64 bits: the 32-bit one reads its bits in smaller steps."""

    def test_it_unpacks(self, target: Target) -> None:
        machine = Bare(target, bzip2.decode)
        for data in (b"", TEXT, mixed(20_000), bytes(3000), random.Random(3).randbytes(3000)):
            out = bytearray(len(data))
            machine.call(bzip2.decode, bz2.compress(data), out, bytearray(bzip2.WORK_BYTES))
            assert out == data

    def test_it_reads_codes_of_twenty_bits(self, target: Target) -> None:
        lengths = [*range(1, 15), *[20] * 18]
        packed = stream(Block(bytes(range(30)), tables=[lengths, lengths]))
        out = bytearray(30)
        Bare(target, bzip2.decode).call(bzip2.decode, packed, out, bytearray(bzip2.WORK_BYTES))
        assert out == bytes(range(30))

    def test_it_refuses_damage(self, target: Target) -> None:
        machine = Bare(target, bzip2.decode)
        packed = bz2.compress(TEXT)
        work = bytearray(bzip2.WORK_BYTES)
        for size in range(0, len(packed), 7):
            with pytest.raises(BootError, match=r"^bzip2: .* \[boot/codecs/bzip2(_passes)?.py:\d+\]$"):
                machine.call(bzip2.decode, packed[:size], bytearray(len(TEXT)), work)
        for bit in range(0, 8 * len(packed), 13):
            out = bytearray(len(TEXT))
            try:
                machine.call(bzip2.decode, flipped(packed, bit), out, work)
            except BootError:
                continue
            assert out == TEXT

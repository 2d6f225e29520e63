"""Do the decoders of xz and lzma, whatever they are fed, give what liblzma gives, or a named error?"""

from __future__ import annotations

import lzma
import random
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.codecs import lzma as alone
from bootslang.boot.codecs import xz
from bootslang.slang import BootError
from support.bare import Bare
from support.decoding import Decoder, calls, mixed
from support.fuzzing import fuzzed, fuzzed_slowly, mutations
from support.xz_writer import Block, chunks, stream

XZ = Decoder(xz, "xz", "lzma")
LZMA = Decoder(alone, "lzma")
ORIGINALS = [b"", b"a", bytes(500), b"abracadabra " * 30, random.Random(7).randbytes(600), calls(600), mixed(9000)]
X86 = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
FILES = [lzma.compress(one, check=check, filters=X86) for one in ORIGINALS for check in (0, 1, 4)]
ALONE = [lzma.compress(one, lzma.FORMAT_ALONE) for one in ORIGINALS]
CHUNKS = [chunks(one) for one in ORIGINALS]
LIMIT = 1 << 16
DICTIONARY = (1 << 20).to_bytes(4, "little")


def size_of(packed: bytes) -> int:
    """How much it unpacks to, as far as Python's decoder can tell; LIMIT at most."""
    try:
        return len(lzma.LZMADecompressor().decompress(packed, LIMIT))
    except lzma.LZMAError:
        return 5000


@given(st.sampled_from(FILES).flatmap(mutations))
@fuzzed
def test_damaged_files(packed: bytes) -> None:
    found = XZ.outcome(packed, size_of(packed))
    assert found is None or found == lzma.decompress(packed)


@given(st.sampled_from(CHUNKS).flatmap(mutations), st.integers(0, 10_000))
@fuzzed
def test_damaged_chunks_in_a_file_that_is_whole(symbols: bytes, size: int) -> None:
    """No checksum hides what the decoder of symbols does with them."""
    for known in (size, size_of_chunks(symbols)):
        packed = stream(Block(bytes(known), symbols), check=lzma.CHECK_NONE)
        found = XZ.outcome(packed, known)
        assert found is None or found == lzma.decompress(packed)


def size_of_chunks(symbols: bytes) -> int:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    try:
        return len(decompressor.decompress(symbols, LIMIT))
    except lzma.LZMAError:
        return 0


@given(st.sampled_from(ALONE).flatmap(mutations))
@fuzzed
def test_damaged_lzma_files(packed: bytes) -> None:
    packed = packed[:1] + DICTIONARY + packed[5:]
    found = LZMA.outcome(packed, size_of(packed))
    assert found is None or found == lzma.decompress(packed)


@given(st.integers(0, 255), st.binary(max_size=400), st.integers(0, 600), st.booleans())
@fuzzed
def test_any_bytes_behind_an_lzma_header(properties: int, rest: bytes, size: int, known: bool) -> None:  # noqa: FBT001
    told = size.to_bytes(8, "little") if known else b"\xff" * 8
    packed = bytes([properties]) + DICTIONARY + told + b"\0" + rest
    found = LZMA.outcome(packed, size)
    assert found is None or found == lzma.decompress(packed)


@cache
def bare() -> Bare:
    return Bare("protected32", xz.decode)


@given(st.sampled_from(CHUNKS).flatmap(mutations))
@fuzzed_slowly
def test_damaged_chunks_in_32_bits(symbols: bytes) -> None:
    """On an emulated machine of 32 bits the decoder does what the native one does."""
    size = size_of_chunks(symbols)
    packed = stream(Block(bytes(size), symbols), check=lzma.CHECK_NONE)
    out = bytearray(size)
    try:
        bare().call(xz.decode, packed, out, bytearray(xz.WORK_BYTES))
    except BootError:
        assert XZ.outcome(packed, size) is None
    else:
        assert bytes(out) == XZ.outcome(packed, size)

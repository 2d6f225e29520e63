"""Does packing give the same bytes every time, and does unpacking take nothing but what packing gave?"""

import bz2
import gzip
import lzma
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot import disk as machine
from bootslang.cli.codec import CODECS as NAMED
from bootslang.errors import FormatInvalid, ToolMissing, UsageError
from bootslang.image import codecs
from bootslang.image.codecs import BY_NUMBER, CODEC_CHOICES, CODECS, choose, pack_chunks, unpack_chunk
from bootslang.image.format import CHUNK_BYTES

BZIP2 = CODECS["bzip2"]
TEXT = b"the same text, again and again; " * 1000


def test_codecs_have_the_numbers_of_the_machine() -> None:
    theirs = {name.removeprefix("CODEC_").lower(): number for name, number in vars(machine).items() if "CODEC_" in name}
    assert {codec.name: codec.number for codec in CODECS.values()} == theirs


def test_auto_is_none() -> None:
    assert choose("auto") is CODECS["none"]


def test_unknown_codecs_are_named() -> None:
    with pytest.raises(UsageError, match="There is no codec 'arc'") as caught:
        choose("arc")
    assert caught.value.hint == f"Choose one of: {', '.join(CODEC_CHOICES)}."


def test_the_commands_name_them_all() -> None:
    assert NAMED.split("|") == list(CODEC_CHOICES)


@pytest.mark.parametrize("name", CODECS)
def test_chunks_come_back_in_their_order(name: str) -> None:
    random = Random(3)
    pieces = [TEXT[: random.randrange(1, len(TEXT))] for _ in range(20)] + [random.randbytes(5000), b"x"]
    packed = list(pack_chunks(CODECS[name], pieces))
    assert [unpack_chunk(one.codec.number, one.data, one.unpacked) for one in packed] == pieces
    assert packed == list(pack_chunks(CODECS[name], pieces))


def test_what_does_not_shrink_is_stored() -> None:
    noise = Random(4).randbytes(10_000)
    text, stored = pack_chunks(BZIP2, [TEXT, noise])
    assert text.codec is BZIP2
    assert stored.codec is CODECS["none"]
    assert stored.data == noise


def test_a_full_chunk_is_one_bzip2_stream() -> None:
    (packed,) = pack_chunks(BZIP2, [(TEXT * 40)[:CHUNK_BYTES]])
    decompressor = bz2.BZ2Decompressor()
    assert len(decompressor.decompress(packed.data)) == CHUNK_BYTES
    assert decompressor.eof
    assert not decompressor.unused_data


PACKED = bz2.compress(TEXT)


@pytest.mark.parametrize(
    ("data", "size", "problem"),
    [
        (PACKED[:-5], len(TEXT), "bzip2: the stream ends too early"),
        (PACKED[:30] + b"\xff" + PACKED[31:], len(TEXT), "bzip2: Invalid data stream"),
        (PACKED + b"rubbish", len(TEXT), "bzip2: 7 bytes follow the stream"),
        (PACKED + PACKED, len(TEXT), f"bzip2: {len(PACKED)} bytes follow the stream"),
        (PACKED, len(TEXT) - 1, f"bzip2: it unpacks to more than {len(TEXT) - 1} bytes instead of {len(TEXT) - 1}"),
        (PACKED, len(TEXT) + 1, f"bzip2: it unpacks to {len(TEXT)} bytes instead of {len(TEXT) + 1}"),
        (b"", 10, "bzip2: the stream ends too early"),
        (b"\x1f\x8b gzip", 10, "bzip2: Invalid data stream"),
        (bz2.compress(bytes(50 << 20)), CHUNK_BYTES, "bzip2: it unpacks to more than 1048576 bytes instead of 1048576"),
    ],
)
def test_damaged_chunks_are_refused_by_name(data: bytes, size: int, problem: str) -> None:
    with pytest.raises(FormatInvalid) as caught:
        unpack_chunk(BZIP2.number, data, size)
    assert caught.value.message == problem


ZSTD = CODECS["zstd"]
FRAME = ZSTD.pack(TEXT)


@pytest.mark.parametrize(
    ("data", "size", "problem"),
    [
        (FRAME[:-5], len(TEXT), "zstd: the frame ends too early"),
        (FRAME[:4] + b"\xff" + FRAME[5:], len(TEXT), None),
        (FRAME + b"rubbish", len(TEXT), "zstd: 7 bytes follow the frame"),
        (FRAME + FRAME, len(TEXT), f"zstd: {len(FRAME)} bytes follow the frame"),
        (FRAME, len(TEXT) - 1, f"zstd: it unpacks to more than {len(TEXT) - 1} bytes instead of {len(TEXT) - 1}"),
        (FRAME, len(TEXT) + 1, f"zstd: it unpacks to {len(TEXT)} bytes instead of {len(TEXT) + 1}"),
        (b"", 10, "zstd: the frame ends too early"),
        (b"\x1f\x8b gzip", 10, None),
        (ZSTD.pack(bytes(50 << 20)), CHUNK_BYTES, "zstd: it unpacks to more than 1048576 bytes instead of 1048576"),
    ],
    ids=["cut", "header", "rubbish", "twice", "more", "less", "empty", "magic", "bomb"],
)
def test_damaged_frames_are_refused_by_name(data: bytes, size: int, problem: str | None) -> None:
    """The library's own words (None) depend on its version."""
    with pytest.raises(FormatInvalid, match=r"^zstd: ") as caught:
        unpack_chunk(ZSTD.number, data, size)
    assert problem is None or caught.value.message == problem


def test_a_frame_has_its_size_and_no_checksum() -> None:
    (packed,) = pack_chunks(ZSTD, [(TEXT * 40)[:CHUNK_BYTES]])
    assert packed.data[4] & 0x04 == 0, "a chunk has a sum of its own"
    assert packed.data[4] >> 6 != 0


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "zstd_module", lambda: None)
    with pytest.raises(ToolMissing, match="The codec zstd needs a library") as caught:
        ZSTD.pack(TEXT)
    assert caught.value.hint == "Install it: `pip install backports.zstd` (Python 3.14 has it built in)."


STREAM = CODECS["deflate"].pack(TEXT)
MEMBER = CODECS["gzip"].pack(TEXT)


@pytest.mark.parametrize(
    ("name", "data", "size", "problem"),
    [
        ("deflate", STREAM[:-5], len(TEXT), "deflate: the data end too early"),
        ("deflate", STREAM + b"rubbish", len(TEXT), "deflate: 7 bytes follow the data"),
        ("deflate", STREAM, len(TEXT) - 1, f"deflate: it unpacks to more than {len(TEXT) - 1} bytes"),
        ("deflate", b"\7", 10, "deflate: Error -3 while decompressing data: invalid block type"),
        ("gzip", MEMBER[:-5], len(TEXT), "gzip: the data end too early"),
        ("gzip", MEMBER * 2, len(TEXT), f"gzip: {len(MEMBER)} bytes follow the data"),
        (
            "gzip",
            MEMBER[:-5] + b"\xff" + MEMBER[-4:],
            len(TEXT),
            "gzip: Error -3",
        ),
        ("gzip", b"\x1f\x8c gzip", 10, "gzip: Error -3 while decompressing data: incorrect header"),
    ],
)
def test_damaged_deflate_and_gzip_are_refused_by_name(name: str, data: bytes, size: int, problem: str) -> None:
    with pytest.raises(FormatInvalid) as caught:
        unpack_chunk(CODECS[name].number, data, size)
    assert caught.value.message.startswith(problem)


def test_a_member_is_read_by_everybody_and_says_nothing_of_its_maker() -> None:
    assert gzip.decompress(MEMBER) == TEXT
    assert MEMBER[:10] == b"\x1f\x8b\x08" + bytes(5) + b"\2\xff"


LZ4 = CODECS["lz4"]
LZ4_FRAME = LZ4.pack(TEXT)


@pytest.mark.parametrize(
    ("data", "size", "problem"),
    [
        (LZ4_FRAME[:-5], len(TEXT), "lz4: the frame ends too early"),
        (LZ4_FRAME[:4] + b"\xff" + LZ4_FRAME[5:], len(TEXT), None),
        (LZ4_FRAME + b"rubbish", len(TEXT), "lz4: 7 bytes follow the frame"),
        (LZ4_FRAME, len(TEXT) - 1, f"lz4: it unpacks to more than {len(TEXT) - 1} bytes instead of {len(TEXT) - 1}"),
        (LZ4_FRAME, len(TEXT) + 1, f"lz4: it unpacks to {len(TEXT)} bytes instead of {len(TEXT) + 1}"),
        (b"", 10, "lz4: the frame ends too early"),
        (b"\x1f\x8b gzip", 10, None),
        (LZ4.pack(bytes(50 << 20)), CHUNK_BYTES, "lz4: it unpacks to more than 1048576 bytes instead of 1048576"),
    ],
    ids=["cut", "header", "rubbish", "more", "less", "empty", "magic", "bomb"],
)
def test_damaged_lz4_frames_are_refused_by_name(data: bytes, size: int, problem: str | None) -> None:
    """The library's own words (None) depend on its version."""
    with pytest.raises(FormatInvalid, match=r"^lz4: ") as caught:
        unpack_chunk(LZ4.number, data, size)
    assert problem is None or caught.value.message == problem


def test_an_lz4_frame_has_its_size_and_no_checksum() -> None:
    assert LZ4_FRAME[4] & 0x1C == 0x08, "a chunk has a sum of its own"


def test_a_missing_lz4_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(ToolMissing, match="The codec lz4 needs a library") as caught:
        LZ4.pack(TEXT)
    assert caught.value.hint == "Install it: `pip install lz4`."


XZ = lzma.compress(TEXT)
ALONE = lzma.compress(TEXT, lzma.FORMAT_ALONE)


@pytest.mark.parametrize(
    ("name", "data", "size", "problem"),
    [
        ("xz", XZ[:-5], len(TEXT), "xz: the file ends too early"),
        ("xz", XZ[:40] + b"\xff" + XZ[41:], len(TEXT), "xz: Corrupt input data"),
        ("xz", XZ + b"rubbish", len(TEXT), "xz: 7 bytes follow the file"),
        ("xz", XZ, len(TEXT) - 1, f"xz: it unpacks to more than {len(TEXT) - 1} bytes instead of {len(TEXT) - 1}"),
        ("xz", ALONE, len(TEXT), "xz: Input format not supported by decoder"),
        ("lzma", ALONE[:-5], len(TEXT), "lzma: the file ends too early"),
        ("lzma", ALONE + b"rubbish", len(TEXT), "lzma: 7 bytes follow the file"),
        ("lzma", ALONE[:1] + b"\0\0\0\xc0" + ALONE[5:], len(TEXT), "lzma: Memory usage limit exceeded"),
    ],
)
def test_damaged_xz_and_lzma_are_refused_by_name(name: str, data: bytes, size: int, problem: str) -> None:
    with pytest.raises(FormatInvalid) as caught:
        unpack_chunk(CODECS[name].number, data, size)
    assert caught.value.message == problem


def test_an_unknown_codec_is_refused_by_name() -> None:
    assert 999 not in BY_NUMBER
    with pytest.raises(FormatInvalid, match="codec 999 is unknown"):
        unpack_chunk(999, b"x", 1)


@given(data=st.binary(max_size=300), size=st.integers(0, 400))
def test_rubbish_is_refused_by_name(data: bytes, size: int) -> None:
    with pytest.raises(FormatInvalid):
        unpack_chunk(BZIP2.number, data, size)

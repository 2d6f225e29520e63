"""Does the newest whole manifest boot, and is every impossible record refused by name?"""

from __future__ import annotations

from typing import Any

import pytest

from bootslang.boot.codecs import bzip2
from bootslang.boot.disk import (
    CHUNK_BYTES,
    DATA_OFFSET,
    KERNEL_BZIMAGE,
    MANIFEST_SLOT_BYTES,
    MAX_BLOBS,
    BlobRecord,
    ChunkRecord,
    Manifest,
)
from bootslang.boot.lift.manifest import DataArea, check_table, choose, table_bytes
from bootslang.slang import BootError, fn, sizeof, span, u8, u64
from support.manifest_writer import (
    PARTITION_BYTES,
    blob,
    chunk,
    command_line,
    initrd,
    manifest,
    sealed,
    table,
)

EMPTY = bytes(MANIFEST_SLOT_BYTES)
GOOD = manifest(blob(), initrd(), command_line())


@fn
def chosen_sequence(slot_a: span[u8], slot_b: span[u8], partition_bytes: u64) -> u64:
    return choose(slot_a, slot_b, DataArea(start=DATA_OFFSET, end=partition_bytes)).sequence


def sequence(slot_a: bytes, slot_b: bytes = EMPTY) -> int:
    return chosen_sequence(span(slot_a), span(slot_b), PARTITION_BYTES)


def complaint(slot_a: bytes, slot_b: bytes = EMPTY) -> str:
    with pytest.raises(BootError) as caught:
        sequence(slot_a, slot_b)
    return str(caught.value)


def test_the_records_have_the_sizes_of_the_image_format() -> None:
    assert (sizeof(Manifest), sizeof(BlobRecord), sizeof(ChunkRecord)) == (64 + MAX_BLOBS * 64, 64, 32)


def test_the_only_manifest_boots_from_either_slot() -> None:
    assert sequence(manifest(blob(), sequence=7)) == 7
    assert sequence(EMPTY, manifest(blob(), sequence=8)) == 8


def test_the_newer_manifest_boots() -> None:
    old, new = manifest(blob(), sequence=2**32 - 1), manifest(blob(), sequence=2**32)
    assert sequence(old, new) == sequence(new, old) == 2**32


def test_the_older_one_boots_when_the_newer_is_damaged() -> None:
    old, new = manifest(blob(), sequence=1), bytearray(manifest(blob(), sequence=2))
    for place in range(0, 128, 5):
        damaged = bytearray(new)
        damaged[place] ^= 0x10
        assert sequence(old, bytes(damaged)) == sequence(bytes(damaged), old) == 1


def test_a_slot_that_cannot_be_read_leaves_the_other() -> None:
    assert sequence(GOOD, b"") == sequence(b"", GOOD) == 1
    assert complaint(EMPTY, b"").endswith("slot A is empty or not a manifest, slot B cannot be read")


def test_bytes_behind_the_manifest_do_not_count() -> None:
    assert sequence(GOOD[:-1] + b"\xff") == 1


@pytest.mark.parametrize(
    ("slot", "reason"),
    [
        (EMPTY, "is empty or not a manifest"),
        (manifest(blob(), magic=1), "is empty or not a manifest"),
        (manifest(blob(), version=2), "is of another version"),
        (manifest(blob(), version=0), "is of another version"),
        (manifest(blob(), size=0), "has an impossible size"),
        (manifest(blob(), size=64), "has an impossible size"),
        (manifest(blob(), size=2**32 - 1), "has an impossible size"),
        (manifest(blob(), blob_count=MAX_BLOBS + 1, size=64 + 64 * (MAX_BLOBS + 1)), "has an impossible size"),
        (manifest(blob(), blob_count=2**32 - 1, size=0), "has an impossible size"),
        (manifest(blob(), blob_count=2**26 + 1), "has an impossible size"),
        (manifest(blob(), checksum=1), "is damaged (its checksum is wrong)"),
        (GOOD[:-1], "has an impossible size"),
    ],
)
def test_a_slot_that_does_not_count_says_why(slot: bytes, reason: str) -> None:
    assert complaint(slot) == f"no manifest to boot by: slot A {reason}, slot B is empty or not a manifest"
    assert complaint(EMPTY, slot) == f"no manifest to boot by: slot A is empty or not a manifest, slot B {reason}"


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * (64 + 3 * 64)):
        damaged = bytearray(GOOD)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert "no manifest to boot by" in complaint(bytes(damaged))


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        ([], "manifest: 0 kernels instead of one"),
        ([initrd()], "manifest: 0 kernels instead of one"),
        ([blob(), blob(KERNEL_BZIMAGE)], "manifest: 2 kernels instead of one"),
        ([blob(), command_line(), command_line()], "manifest: 2 command lines instead of one"),
        ([blob(), blob(0)], "manifest: blob 1 is of the unknown kind 0"),
        ([blob(6)], "manifest: blob 0 is of the unknown kind 6"),
        ([blob(size=0, chunks=0)], "manifest: the kernel is empty"),
        ([blob(chunks=2)], "manifest: blob 0 of 0x280000 bytes cannot have 2 chunks"),
        ([blob(size=2, chunks=3)], "manifest: blob 0 of 0x2 bytes cannot have 3 chunks"),
        ([blob(), initrd(size=0, chunks=1)], "manifest: blob 1 of 0x0 bytes cannot have 1 chunks"),
        ([blob(size=2**64 - 1)], "manifest: blob 0 of 0xffffffffffffffff bytes cannot have 3 chunks"),
    ],
)
def test_impossible_blobs_are_refused(blobs: list[BlobRecord], message: str) -> None:
    assert complaint(manifest(*blobs)) == message


@pytest.mark.parametrize(
    "fields",
    [
        {"table": 0},
        {"table": DATA_OFFSET - 0x1000},
        {"table": DATA_OFFSET + 1},
        {"table": PARTITION_BYTES},
        {"table": 2**64 - 0x1000},
        {"table": PARTITION_BYTES - 0x1000, "size": 129 * CHUNK_BYTES, "chunks": 129},
        {"size": 2**50, "chunks": 2**32 - 1},
    ],
)
def test_a_table_outside_the_data_is_refused(fields: dict[str, int]) -> None:
    assert "the chunk table of blob 0 at" in complaint(manifest(blob(**fields)))


def test_a_table_at_the_very_end_is_good() -> None:
    last = blob(table=PARTITION_BYTES - 0x1000, size=128 * CHUNK_BYTES, chunks=128)
    assert sequence(manifest(last)) == 1


def test_empty_initrds_and_command_lines_are_good() -> None:
    assert sequence(manifest(blob(), initrd(size=0, chunks=0, table=0), command_line(size=0, chunks=0, table=0))) == 1


THREE = (chunk(), chunk(codec=bzip2.BZIP2.id, packed=1), chunk(unpacked=CHUNK_BYTES // 2, packed=CHUNK_BYTES // 2))


def accept(record: BlobRecord, chunk_table: bytes) -> None:
    check_table(record, span(chunk_table), DataArea(start=DATA_OFFSET, end=PARTITION_BYTES))


def table_complaint(*chunks: ChunkRecord, **fields: Any) -> str:
    chunk_table = table(*chunks)
    with pytest.raises(BootError) as caught:
        accept(sealed(blob(chunks=len(chunks), **fields), chunk_table), chunk_table)
    return str(caught.value)


def test_a_good_table_is_accepted() -> None:
    chunk_table = table(*THREE)
    record = sealed(blob(), chunk_table)
    assert table_bytes(record) == len(chunk_table)
    accept(record, chunk_table)
    accept(initrd(size=0, chunks=0), b"")


def test_a_damaged_table_is_refused() -> None:
    chunk_table = table(*THREE)
    record = sealed(blob(), chunk_table)
    for bit in range(0, 8 * len(chunk_table), 3):
        damaged = bytearray(chunk_table)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(BootError, match="the chunk table at 0x90000 is damaged"):
            accept(record, bytes(damaged))


@pytest.mark.parametrize("size", [0, 95, 97, 128])
def test_a_table_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(BootError, match=f"chunk table: {size} bytes instead of 96"):
        accept(blob(), bytes(size))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (chunk(unpacked=0), "chunk 1: 0x0 bytes unpacked; 1 to 0x100000 are possible"),
        (chunk(unpacked=CHUNK_BYTES + 1), "chunk 1: 0x100001 bytes unpacked; 1 to 0x100000 are possible"),
        (chunk(packed=0), "chunk 1: 0x0 bytes packed, 0x100000 unpacked"),
        (chunk(packed=CHUNK_BYTES + 1), "chunk 1: 0x100001 bytes packed, 0x100000 unpacked"),
        (chunk(codec=0x7F), "chunk 1: this loader lacks codec 127"),
        (chunk(codec=0xFFFF), "chunk 1: this loader lacks codec 65535"),
        (chunk(offset=0), "chunk 1: 0x100000 bytes at 0x0 lie outside the partition's data"),
        (chunk(offset=DATA_OFFSET + 512), "chunk 1: 0x100000 bytes at 0x90200 lie outside the partition's data"),
        (
            chunk(offset=PARTITION_BYTES - 0xFF000),
            "chunk 1: 0x100000 bytes at 0x3f01000 lie outside the partition's data",
        ),
        (
            chunk(offset=2**64 - 0x1000),
            "chunk 1: 0x100000 bytes at 0xfffffffffffff000 lie outside the partition's data",
        ),
    ],
)
def test_impossible_chunks_are_refused(bad: ChunkRecord, message: str) -> None:
    assert table_complaint(THREE[0], bad, THREE[2]) == message


def test_chunks_have_to_sum_to_the_blob() -> None:
    assert table_complaint(*THREE, chunk()) == "chunk table: the chunks hold 0x380000 bytes, the blob has 0x280000"
    assert table_complaint(*THREE[:2]) == "chunk table: the chunks hold 0x200000 bytes, the blob has 0x280000"


def test_a_chunk_at_the_very_end_is_good() -> None:
    chunk_table = table(chunk(offset=PARTITION_BYTES - CHUNK_BYTES))
    accept(sealed(blob(chunks=1, size=CHUNK_BYTES), chunk_table), chunk_table)

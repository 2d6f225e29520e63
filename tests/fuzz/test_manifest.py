"""Does the manifest reader accept only what it promises, whatever the disk holds?"""

from __future__ import annotations

import struct

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.codecs.registry import is_linked
from bootslang.boot.disk import (
    ALIGNMENT,
    CHUNK_BYTES,
    DATA_OFFSET,
    MANIFEST_MAGIC,
    MANIFEST_SLOT_BYTES,
    MANIFEST_VERSION,
    MAX_BLOBS,
    BlobRecord,
    ChunkRecord,
)
from bootslang.boot.lift.manifest import DataArea, check_table, choose
from bootslang.slang import BootError, fn, span, u8, u64
from support.fuzzing import fuzzed, mutations
from support.manifest_writer import PARTITION_BYTES, blob, chunk, command_line, initrd, manifest, sealed, table

SLOTS = [manifest(blob()), manifest(blob(), initrd(), initrd(), command_line(), sequence=2**64 - 1)]
SLOT = st.one_of(
    st.sampled_from(SLOTS).flatmap(mutations),
    st.binary(max_size=MANIFEST_SLOT_BYTES),
    st.sampled_from(SLOTS),
)
U32 = st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 8), st.sampled_from([CHUNK_BYTES, CHUNK_BYTES + 1]))
U64 = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, PARTITION_BYTES // ALIGNMENT + 1).map(lambda page: page * ALIGNMENT),
    st.sampled_from([0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES]),
)


@fn
def chosen_sequence(slot_a: span[u8], slot_b: span[u8], partition_bytes: u64) -> u64:
    return choose(slot_a, slot_b, DataArea(start=DATA_OFFSET, end=partition_bytes)).sequence


def resized(slot: bytes) -> bytes:
    return slot[:MANIFEST_SLOT_BYTES].ljust(MANIFEST_SLOT_BYTES, b"\0")


def sequence_of(slot: bytes) -> int | None:
    """The sequence number of a whole manifest, told by other means; None if it is not one."""
    magic, checksum, size, version, _, sequence, count = struct.unpack_from("<QQIHHQI", slot)
    covered = slot[:8] + bytes(8) + slot[16:size]
    whole = (magic, version, size) == (MANIFEST_MAGIC, MANIFEST_VERSION, 64 + 64 * count)
    if not whole or count > MAX_BLOBS or xxhash.xxh64_intdigest(covered) != checksum:
        return None
    return int(sequence)


@given(SLOT, SLOT, U64)
@fuzzed
def test_any_two_slots(slot_a: bytes, slot_b: bytes, partition_bytes: int) -> None:
    slots = [resized(slot_a), resized(slot_b)]
    try:
        sequence = chosen_sequence(span(slots[0]), span(slots[1]), partition_bytes)
    except BootError as error:
        assert str(error)  # noqa: PT017 - both outcomes are good
    else:
        assert sequence == max(found for slot in slots if (found := sequence_of(slot)) is not None)


BLOB = st.builds(
    lambda kind, size, chunks, place: blob(kind, size=size, chunks=chunks, table=place),
    st.integers(0, 6),
    U64,
    U32,
    U64,
)


@given(st.lists(BLOB, max_size=MAX_BLOBS), U64)
@fuzzed
def test_any_blobs_under_a_good_checksum(blobs: list[BlobRecord], partition_bytes: int) -> None:
    slot = manifest(*blobs)
    try:
        chosen_sequence(span(slot), span(slot), partition_bytes)
    except BootError as error:
        assert str(error)  # noqa: PT017 - both outcomes are good
        return
    assert sum(one.kind in {1, 2} for one in blobs) == 1
    for one in blobs:
        assert -(-one.size // CHUNK_BYTES) <= one.chunks <= one.size
        if one.chunks:
            assert one.table % ALIGNMENT == 0
            assert DATA_OFFSET <= one.table <= one.table + 32 * one.chunks <= partition_bytes


CHUNK = st.one_of(
    st.builds(
        lambda offset, packed, unpacked, codec: chunk(offset=offset, packed=packed, unpacked=unpacked, codec=codec),
        U64,
        U32,
        U32,
        st.integers(0, 3),
    ),
    st.builds(lambda packed: chunk(packed=packed), st.integers(1, CHUNK_BYTES)),
)


@given(st.lists(CHUNK, min_size=1, max_size=8), U64, st.booleans())
@fuzzed
def test_any_chunks_under_a_good_checksum(chunks: list[ChunkRecord], size: int, exact: bool) -> None:  # noqa: FBT001 - from hypothesis
    chunk_table = table(*chunks)
    size = sum(one.unpacked for one in chunks) if exact else size
    record = sealed(blob(size=size, chunks=len(chunks)), chunk_table)
    try:
        check_table(record, span(chunk_table), DataArea(start=DATA_OFFSET, end=PARTITION_BYTES))
    except BootError as error:
        assert str(error)  # noqa: PT017 - both outcomes are good
        return
    assert sum(one.unpacked for one in chunks) == size
    for one in chunks:
        assert 0 < one.packed <= one.unpacked <= CHUNK_BYTES
        assert is_linked(one.codec)  # which ones are, the tests that this process has loaded decide
        assert one.offset % ALIGNMENT == 0
        assert DATA_OFFSET <= one.offset <= one.offset + one.packed <= PARTITION_BYTES

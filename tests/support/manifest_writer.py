"""Manifests and chunk tables for tests: good ones by default, every field open to nonsense."""

from __future__ import annotations

from typing import Any

import xxhash

from bootslang.boot.disk import (
    CHUNK_BYTES,
    CODEC_NONE,
    COMMAND_LINE,
    DATA_OFFSET,
    INITRD,
    KERNEL_ELF,
    MANIFEST_MAGIC,
    MANIFEST_SLOT_BYTES,
    MANIFEST_VERSION,
    BlobRecord,
    ChunkRecord,
    Manifest,
)
from bootslang.slang import offsetof, sizeof

PARTITION_BYTES = 64 << 20
HEADER_BYTES = offsetof(Manifest, "blobs")


def blob(kind: int = KERNEL_ELF, **fields: Any) -> BlobRecord:
    """A blob of two and a half chunks, its table at the start of the data."""
    values: dict[str, Any] = {"kind": kind, "size": 5 * CHUNK_BYTES // 2, "chunks": 3, "table": DATA_OFFSET} | fields
    return BlobRecord(**values)


def chunk(**fields: Any) -> ChunkRecord:
    """A full chunk behind the tables."""
    values: dict[str, Any] = {
        "offset": DATA_OFFSET + 0x1000,
        "packed": CHUNK_BYTES,
        "unpacked": CHUNK_BYTES,
        "codec": CODEC_NONE,
    }
    return ChunkRecord(**(values | fields))


def command_line(**fields: Any) -> BlobRecord:
    return blob(COMMAND_LINE, **({"size": 20, "chunks": 1} | fields))


def initrd(**fields: Any) -> BlobRecord:
    return blob(INITRD, **fields)


def manifest(*blobs: BlobRecord, sequence: int = 1, checksum: int | None = None, **fields: Any) -> bytes:
    """A manifest slot."""
    record = Manifest(
        **{
            "magic": MANIFEST_MAGIC,
            "version": MANIFEST_VERSION,
            "sequence": sequence,
            "blob_count": len(blobs),
            "size": HEADER_BYTES + len(blobs) * sizeof(BlobRecord),
        }
        | fields
    )
    for index, one in enumerate(blobs):
        record.blobs[index] = one
    covered = bytes(record)[: record.size]
    record.checksum = xxhash.xxh64_intdigest(covered) if checksum is None else checksum
    return bytes(record)[: HEADER_BYTES + len(blobs) * sizeof(BlobRecord)].ljust(MANIFEST_SLOT_BYTES, b"\0")


def table(*chunks: ChunkRecord) -> bytes:
    return b"".join(bytes(one) for one in chunks)


def sealed(record: BlobRecord, chunk_table: bytes) -> BlobRecord:
    """The blob with its table's checksum."""
    record.table_checksum = xxhash.xxh64_intdigest(chunk_table)
    return record

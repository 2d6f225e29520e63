"""The manifest reader: which generation boots, and whether its records can be believed.

Stage 4 reads both manifest slots and hands their bytes to `choose`; for each blob it then reads the table of chunk
records, which `check_table` accepts or refuses. Works on spans alone, in 32 and 64 bits, reads no disk and writes
nothing. What is accepted here needs no further check of offsets, sizes and sums of sizes.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.codecs.registry import is_linked
from bootslang.boot.disk import (
    ALIGNMENT,
    CHUNK_BYTES,
    COMMAND_LINE,
    INITRD,
    KERNEL_BZIMAGE,
    KERNEL_ELF,
    KERNEL_HANDOFF,
    MANIFEST_MAGIC,
    MANIFEST_SLOT_BYTES,
    MANIFEST_VERSION,
    MAX_BLOBS,
    BlobRecord,
    ChunkRecord,
    Manifest,
)
from bootslang.boot.lib.xxh64 import Xxh64, digest, start, update, xxh64
from bootslang.slang import BootError, Struct, array, compile_for, fn, offsetof, sizeof, span, text, u8, u32, u64, usize

compile_for("protected32", "long64")

HEADER_BYTES: Final = offsetof(Manifest, "blobs")
BLOB_BYTES: Final = sizeof(BlobRecord)
CHUNK_RECORD_BYTES: Final = sizeof(ChunkRecord)
CHECKSUM_OFFSET: Final = offsetof(Manifest, "checksum")

VALID: Final = 0
NO_MAGIC: Final = 1
OTHER_VERSION: Final = 2
BAD_SIZE: Final = 3
BAD_CHECKSUM: Final = 4
UNREADABLE: Final = 5


class DataArea(Struct):
    """Where chunks and their tables may lie: offsets from the start of the partition or bundle."""

    start: u64
    end: u64


@fn
def choose(slot_a: span[u8], slot_b: span[u8], area: DataArea) -> Manifest:
    """The newer of a disk's two generations that is whole, its records checked.

    Each span holds a manifest slot, or nothing if that cannot be read.
    """
    state_a = state_of(slot_a)
    state_b = state_of(slot_b)
    take_b = state_b == VALID
    if state_a == VALID:
        take_b = take_b and Manifest.of(slot_b).sequence > Manifest.of(slot_a).sequence
    elif not take_b:
        raise BootError(f"no manifest to boot by: slot A {reason(state_a)}, slot B {reason(state_b)}")
    manifest = Manifest.of(slot_b if take_b else slot_a)
    check_blobs(manifest, area)
    return manifest


@fn
def check_only(slot: span[u8], area: DataArea) -> Manifest:
    """The one generation of a bundle, its records checked."""
    state = state_of(slot)
    if state != VALID:
        raise BootError(f"the bundle's manifest {reason(state)}")
    manifest = Manifest.of(slot)
    check_blobs(manifest, area)
    return manifest


@fn
def state_of(slot: span[u8]) -> u32:
    """VALID, or why this slot does not count."""
    if not slot:
        return UNREADABLE
    if len(slot) < MANIFEST_SLOT_BYTES:
        return BAD_SIZE
    manifest = Manifest.of(slot)
    if manifest.magic != MANIFEST_MAGIC:
        return NO_MAGIC
    if manifest.version != MANIFEST_VERSION:
        return OTHER_VERSION
    if manifest.blob_count > MAX_BLOBS or manifest.size != HEADER_BYTES + manifest.blob_count * BLOB_BYTES:
        return BAD_SIZE
    if manifest.checksum != checksum_of(slot[: manifest.size]):
        return BAD_CHECKSUM
    return VALID


@fn
def reason(state: u32) -> span[u8]:
    """Why a slot does not count, in words."""
    if state == NO_MAGIC:
        return text("is empty or not a manifest")
    if state == OTHER_VERSION:
        return text("is of another version")
    if state == BAD_SIZE:
        return text("has an impossible size")
    if state == BAD_CHECKSUM:
        return text("is damaged (its checksum is wrong)")
    if state == UNREADABLE:
        return text("cannot be read")
    return text("is valid")


@fn
def checksum_of(manifest: span[u8]) -> u64:
    """XXH64 of a manifest, its own checksum field taken as zero."""
    zeros = array[u8](8)
    state = Xxh64.zeroed()
    start(state)
    update(state, manifest[:CHECKSUM_OFFSET])
    update(state, zeros)
    update(state, manifest[CHECKSUM_OFFSET + 8 :])
    return digest(state)


@fn
def check_blobs(manifest: Manifest, area: DataArea) -> None:
    """Refuse what no disk of ours has: other than one kernel, two command lines, unknown kinds, impossible tables."""
    kernels: u32 = 0
    command_lines: u32 = 0
    for index in range(manifest.blob_count):
        blob = manifest.blobs[index]
        if is_kernel(blob.kind):
            kernels += 1
        elif blob.kind == COMMAND_LINE:
            command_lines += 1
        elif blob.kind != INITRD:
            raise BootError(f"manifest: blob {index} is of the unknown kind {blob.kind}")
        check_blob(blob, index, area)
    if kernels != 1:
        raise BootError(f"manifest: {kernels} kernels instead of one")
    if command_lines > 1:
        raise BootError(f"manifest: {command_lines} command lines instead of one")


@fn
def check_blob(blob: BlobRecord, index: u32, area: DataArea) -> None:
    """Refuse a blob whose number of chunks does not go with its size or whose table is not inside the partition."""
    least = blob.size // CHUNK_BYTES + u64(blob.size % CHUNK_BYTES != 0)
    if blob.chunks < least or blob.chunks > blob.size:
        raise BootError(f"manifest: blob {index} of {blob.size:#x} bytes cannot have {blob.chunks} chunks")
    if blob.size == 0 and is_kernel(blob.kind):
        raise BootError("manifest: the kernel is empty")
    if blob.chunks != 0 and not lies_in_data(blob.table, u64(blob.chunks) * CHUNK_RECORD_BYTES, area):
        raise BootError(
            f"manifest: the chunk table of blob {index} at {blob.table:#x} lies outside the partition's data"
        )


@fn
def lies_in_data(offset: u64, size: u64, area: DataArea) -> bool:
    """Tell whether `size` bytes at `offset` are aligned and inside the area."""
    if offset % ALIGNMENT != 0 or offset < area.start or offset > area.end:
        return False
    return size <= area.end - offset


@fn
def is_kernel(kind: u32) -> bool:
    """Tell whether a blob of this kind is a kernel."""
    return kind in (KERNEL_ELF, KERNEL_BZIMAGE, KERNEL_HANDOFF)


@fn
def table_bytes(blob: BlobRecord) -> u64:
    """How many bytes of chunk records there are to read at `blob.table`."""
    return u64(blob.chunks) * CHUNK_RECORD_BYTES


@fn
def check_table(blob: BlobRecord, table: span[u8], area: DataArea) -> span[ChunkRecord]:
    """The chunk records in `table`, which holds exactly `table_bytes(blob)`, once each of them is found credible."""
    if len(table) != table_bytes(blob):
        raise BootError(f"chunk table: {len(table)} bytes instead of {table_bytes(blob)}")
    if blob.chunks != 0 and xxh64(table) != blob.table_checksum:
        raise BootError(f"the chunk table at {blob.table:#x} is damaged (its checksum is wrong)")
    chunks: span[ChunkRecord] = table.cast(ChunkRecord)
    total: u64 = 0
    for index in range(len(chunks)):
        check_chunk(chunks[index], index, area)
        total += chunks[index].unpacked
    if total != blob.size:
        raise BootError(f"chunk table: the chunks hold {total:#x} bytes, the blob has {blob.size:#x}")
    return chunks


@fn
def check_chunk(chunk: ChunkRecord, index: usize, area: DataArea) -> None:
    """Refuse a chunk record with impossible sizes, an unknown codec, or bytes outside the partition's data."""
    if chunk.unpacked == 0 or chunk.unpacked > CHUNK_BYTES:
        raise BootError(f"chunk {index}: {chunk.unpacked:#x} bytes unpacked; 1 to {CHUNK_BYTES:#x} are possible")
    if chunk.packed == 0 or chunk.packed > chunk.unpacked:
        raise BootError(f"chunk {index}: {chunk.packed:#x} bytes packed, {chunk.unpacked:#x} unpacked")
    if not is_linked(chunk.codec):
        raise BootError(f"chunk {index}: this loader lacks codec {chunk.codec}")
    if not lies_in_data(chunk.offset, chunk.packed, area):
        raise BootError(f"chunk {index}: {chunk.packed:#x} bytes at {chunk.offset:#x} lie outside the partition's data")

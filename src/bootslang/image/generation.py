"""Reading generations back: what the update must not overwrite, what `inspect` shows and `verify` checks."""

from collections.abc import Iterator
from dataclasses import dataclass

from bootslang.errors import FormatInvalid, KernelInvalid
from bootslang.image import format as disk
from bootslang.image.codecs import in_parallel, unpack_chunk
from bootslang.image.medium import Medium
from bootslang.kernel import entry_bits


@dataclass(frozen=True)
class Generation:
    """A valid manifest and the chunk tables that it names."""

    slot: int
    """The manifest slot it was read from, 0 or 1."""
    manifest: disk.Manifest
    tables: tuple[tuple[disk.ChunkRecord, ...], ...]
    """One for each blob."""

    @property
    def sequence(self) -> int:
        """The higher one boots."""
        return self.manifest.sequence

    @property
    def extents(self) -> list[disk.Extent]:
        """All that it occupies in the data area."""
        found = [blob.table_extent for blob in self.manifest.blobs]
        found += [chunk.extent for table in self.tables for chunk in table]
        if self.manifest.signature_size:
            found.append(disk.Extent(self.manifest.signature, disk.aligned(self.manifest.signature_size)))
        return found

    @property
    def codecs(self) -> frozenset[int]:
        """The codecs that a loader needs to boot it."""
        return frozenset(chunk.codec for table in self.tables for chunk in table)


def manifest_offset(slot: int) -> int:
    """Where a manifest slot lies in the boot partition."""
    return disk.MANIFEST_OFFSET + slot * disk.MANIFEST_SLOT_BYTES


def slot_is_empty(boot: Medium, slot: int) -> bool:
    """Whether a manifest slot holds no manifest, not even a damaged one: its first bytes are zero."""
    return not any(boot.read(manifest_offset(slot), 8))


def read_manifest(boot: Medium, slot: int) -> disk.Manifest:
    """The manifest in a slot.

    Raises:
        FormatInvalid: If there is none, or a damaged one.

    """
    return disk.Manifest.decode(boot.read(manifest_offset(slot), disk.MANIFEST_SLOT_BYTES), boot.size)


def read_generation(boot: Medium, slot: int) -> Generation:
    """The manifest in a slot with its chunk tables; the chunks themselves are not read.

    Raises:
        FormatInvalid: If any of them is damaged.

    """
    manifest = read_manifest(boot, slot)
    tables = tuple(blob.decode_table(boot.read(blob.table, blob.table_bytes), boot.size) for blob in manifest.blobs)
    return Generation(slot, manifest, tables)


def kernel_bits(boot: Medium, generation: Generation) -> int:
    """In which mode its kernel is entered, 32 or 64; 32 too for one that this version of ours does not understand."""
    pairs = zip(generation.manifest.blobs, generation.tables, strict=True)
    table = next(table for blob, table in pairs if blob.kind in disk.KERNEL_KINDS)
    try:
        return entry_bits(next(read_chunks(boot, table[:1])))
    except KernelInvalid:
        return 32


def is_whole(boot: Medium, generation: Generation) -> bool:
    """Whether every chunk still has its checksum, which is to say: whether this generation boots."""
    return not any(
        disk.xxh64(boot.read(chunk.offset, chunk.packed)) != chunk.checksum
        for table in generation.tables
        for chunk in table
    )


def read_chunks(boot: Medium, table: tuple[disk.ChunkRecord, ...]) -> Iterator[bytes]:
    """A blob's bytes, chunk by chunk, checked and unpacked.

    Raises:
        FormatInvalid: At the first chunk that is damaged.

    """
    for outcome in try_chunks(boot, table):
        if isinstance(outcome, FormatInvalid):
            raise outcome
        yield outcome


def try_chunks(boot: Medium, table: tuple[disk.ChunkRecord, ...]) -> Iterator[bytes | FormatInvalid]:
    """A blob's chunks, unpacked on all processors; for one that is damaged, the error that says how."""
    packed = ((index, chunk, boot.read(chunk.offset, chunk.packed)) for index, chunk in enumerate(table))
    return in_parallel(_try_chunk, packed)


def _try_chunk(job: tuple[int, disk.ChunkRecord, bytes]) -> bytes | FormatInvalid:
    index, chunk, packed = job
    where = f"chunk {index} at {chunk.offset:#x}"
    if disk.xxh64(packed) != chunk.checksum:
        return FormatInvalid(f"{where}: its checksum is wrong")
    try:
        return unpack_chunk(chunk.codec, packed, chunk.unpacked)
    except FormatInvalid as error:
        return FormatInvalid(f"{where}: {error.message}")

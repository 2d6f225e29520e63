"""`bootslang verify FILE`: read a disk or a bundle back, check everything that has a sum, and say what is damaged.

It trusts nothing that `build` reported: what is checked is what a machine would read.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh64

from bootslang.errors import FormatInvalid, ImageInvalid, PartitionTableInvalid
from bootslang.image import format as disk
from bootslang.image.bundles import is_bundle, open_bundle, read_bundle_manifest
from bootslang.image.disks import Disk, open_disk
from bootslang.image.generation import (
    Generation,
    is_whole,
    read_generation,
    read_manifest,
    slot_is_empty,
    try_chunks,
)
from bootslang.image.loader import check_slot, read_slot
from bootslang.image.medium import Medium
from bootslang.image.partitions import CODE_BYTES, Partition

ELF_MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class Finding:
    """Something that is not as `build` left it."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def verify(path: str | os.PathLike[str], *, sector_size: int | None = None) -> list[Finding]:
    """Check a disk from its partition table to the last byte of its last initrd, or a bundle from its manifest on.

    An empty list means: all is well.

    Raises:
        ImageInvalid: If it cannot be read at all, or is an ELF file: a kernel, or the loader.

    """
    if _is_elf(Path(path)):
        raise ImageInvalid(
            f"{os.fspath(path)} is neither a disk nor a bundle: it is an ELF file.",
            hint="`bootslang inspect` shows what is in it.",
        )
    if is_bundle(Path(path)):
        with open_bundle(Path(path)) as bundle:
            return list(_check_bundle(bundle))
    try:
        with open_disk(Path(path), sector_size) as opened:
            return list(_check_disk(opened))
    except PartitionTableInvalid as error:
        return [Finding("partition table", error.message)]


def _is_elf(path: Path) -> bool:
    """Whether it is one, which no disk is: `build` never makes a disk begin like this."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC


def _check_bundle(bundle: Medium) -> Iterator[Finding]:
    try:
        manifest = read_bundle_manifest(bundle)
    except FormatInvalid as error:
        yield Finding("manifest", error.message)
        return
    for index, blob in enumerate(manifest.blobs):
        name = f"{disk.KIND_NAMES[blob.kind]} (blob {index})"
        yield from (Finding(name, problem) for problem in _check_blob(bundle, blob, disk.BUNDLE_DATA_OFFSET))


def _check_disk(opened: Disk) -> Iterator[Finding]:
    partition, boot = opened.boot_partition()
    if not any(opened.medium.read(0, CODE_BYTES)):
        yield Finding("sector 0", "there is no boot code")
    headers = []
    for index, name in enumerate("AB"):
        try:
            headers.append(check_slot(read_slot(boot, index)))
        except FormatInvalid as error:
            yield Finding(f"loader slot {name}", error.message)
        else:
            yield from _check_header(f"loader slot {name}", headers[-1], partition)
    if len(headers) == disk.LOADER_SLOTS and headers[0] != headers[1]:
        yield Finding("loader slots", "A and B hold different loaders: an update was interrupted, build again")
    yield from _check_manifests(boot)


def _check_header(where: str, header: disk.LoaderHeader, partition: Partition) -> Iterator[Finding]:
    if header.sector_size != partition.sector_size:
        yield Finding(where, f"made for sectors of {header.sector_size} bytes, the disk has {partition.sector_size}")
    if header.partition_bytes != partition.size:
        yield Finding(where, f"made for a partition of {header.partition_bytes} bytes, this one has {partition.size}")


def _check_manifests(boot: Medium) -> Iterator[Finding]:
    empty = 0
    for slot in range(disk.MANIFEST_SLOTS):
        where = f"manifest {slot}"
        if slot_is_empty(boot, slot):
            empty += 1
            continue
        try:
            manifest = read_manifest(boot, slot)
        except FormatInvalid as error:
            yield Finding(where, error.message)
            continue
        for index, blob in enumerate(manifest.blobs):
            name = f"generation {manifest.sequence}, {disk.KIND_NAMES[blob.kind]} (blob {index})"
            yield from (Finding(name, problem) for problem in _check_blob(boot, blob, disk.DATA_OFFSET))
    if empty == disk.MANIFEST_SLOTS:
        yield Finding("manifests", "both slots are empty: there is nothing to boot")


def _check_blob(boot: Medium, blob: disk.BlobRecord, start: int) -> Iterator[str]:
    """Check the chunks of a blob, which lie from `start` on.

    Every chunk is checked even after a bad one; the whole's sum only says something when all chunks are good.
    """
    try:
        table = blob.decode_table(boot.read(blob.table, blob.table_bytes), boot.size, start=start)
    except FormatInvalid as error:
        yield error.message
        return
    whole = xxh64()
    good = True
    for outcome in try_chunks(boot, table):
        if isinstance(outcome, FormatInvalid):
            good = False
            yield outcome.message
        else:
            whole.update(outcome)
    if good and whole.intdigest() != blob.checksum:
        yield "the checksum of the unpacked whole is wrong"


@dataclass(frozen=True)
class Start:
    """What a machine would start from a disk."""

    loader: bytes
    """The loader slot's bytes."""
    generation: Generation


def what_boots(boot: Medium) -> Start:
    """Follow a machine's way: the first slot whose stage 2 is sound, then the newest manifest whose checksum is right.

    Raises:
        FormatInvalid: Where the machine would stop.

    """
    loader = _loader(boot)
    manifests: dict[int, int] = {}
    for slot in range(disk.MANIFEST_SLOTS):
        with contextlib.suppress(FormatInvalid):
            manifests[slot] = read_manifest(boot, slot).sequence
    if not manifests:
        raise FormatInvalid("there is no valid manifest")
    newest = read_generation(boot, max(manifests, key=lambda slot: manifests[slot]))
    if not is_whole(boot, newest):
        raise FormatInvalid(f"generation {newest.sequence} is damaged")
    return Start(loader, newest)


def _loader(boot: Medium) -> bytes:
    """The slot that a machine starts; stage 2 takes a damaged stage's copy from the other slot."""
    slots = [read_slot(boot, index) for index in range(disk.LOADER_SLOTS)]
    for slot, other in (slots, slots[::-1]):
        try:
            header = disk.LoaderHeader.decode(slot)
        except FormatInvalid:
            continue
        for name, record in zip(disk.STAGE_NAMES, header.stages, strict=True):
            part = slice(record.offset, record.offset + record.packed)
            if record.packed and record.checksum not in {disk.xxh64(slot[part]), disk.xxh64(other[part])}:
                raise FormatInvalid(f"{name} is damaged in both loader slots")
        return slot
    raise FormatInvalid("neither loader slot holds a stage 2")

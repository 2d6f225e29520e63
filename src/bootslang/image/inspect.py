"""`bootslang inspect DISK`: everything on a disk as a tree of plain data.

Nothing here judges: a part that cannot be read has its reason in `problem`, and the rest is shown. `verify` judges.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from bootslang.errors import BootslangError, FormatInvalid, PartitionTableInvalid
from bootslang.image import format as disk
from bootslang.image.codecs import BY_NUMBER
from bootslang.image.disks import Disk, open_disk
from bootslang.image.generation import manifest_offset, read_chunks, read_generation, read_manifest, slot_is_empty
from bootslang.image.loader import BOOT_SECTOR, STAGE2, check_slot, read_slot
from bootslang.image.medium import Medium, Region
from bootslang.image.partitions import Partition


@dataclass(frozen=True)
class PartitionNode:
    """A partition; sizes in bytes."""

    number: int
    type: int
    active: bool
    first_lba: int
    sectors: int
    size: int


@dataclass(frozen=True)
class StageNode:
    """A stage in a loader slot. The sum of stage 2 is the rotating one, of the others XXH64."""

    name: str
    offset: int
    size: int
    address: int
    memory: int
    checksum: int


@dataclass(frozen=True)
class SlotNode:
    """A loader slot."""

    name: str
    offset: int
    problem: str
    stages: tuple[StageNode, ...] = ()
    verbose: bool = False
    framebuffer: tuple[int, int, int] | None = None
    sector_size: int = 0
    partition_bytes: int = 0


@dataclass(frozen=True)
class ChunkNode:
    """A chunk of a blob."""

    offset: int
    packed: int
    unpacked: int
    codec: str
    checksum: int


@dataclass(frozen=True)
class BlobNode:
    """A kernel, an initrd or the command line."""

    kind: str
    size: int
    packed: int
    checksum: int
    table: int
    problem: str
    chunks: tuple[ChunkNode, ...]
    text: str = ""
    """The command line itself."""
    name: str = ""
    """Of an initrd, as its record has it."""
    options: tuple[str, ...] = ()
    """Of a kernel: how it is to be started, as `build` was told."""


@dataclass(frozen=True)
class ManifestNode:
    """A manifest slot."""

    slot: int
    offset: int
    problem: str
    sequence: int = 0
    blobs: tuple[BlobNode, ...] = ()


@dataclass(frozen=True)
class PlaceNode:
    """Something that lies in the machine's memory when the kernel is entered, or on the way there."""

    what: str
    start: int
    end: int
    fixed: bool
    """Whether it is there in any case; else the machine's memory map decides, and this is what is tried first."""


@dataclass(frozen=True)
class BootNode:
    """The boot partition. Offsets below it count from its start."""

    partition: int
    loader_slots: tuple[SlotNode, ...]
    manifests: tuple[ManifestNode, ...]
    boots: int | None
    """The sequence number of the generation that a machine would start; None if there is none, or it is damaged."""
    memory: tuple[PlaceNode, ...]


@dataclass(frozen=True)
class DiskNode:
    """A whole disk."""

    path: str
    size: int
    sector_size: int
    disk_signature: int
    partitions: tuple[PartitionNode, ...]
    boot: BootNode | None
    problem: str
    """Why there is no `boot`."""

    def to_json(self) -> str:
        """All of it, indented. Sums are hexadecimal texts: many readers of JSON round numbers of 64 bits."""
        return json.dumps(asdict(self, dict_factory=json_object), indent=2)


def json_object(fields: list[tuple[str, object]]) -> dict[str, object]:
    """Numbers that are sums as hexadecimal texts."""
    digits = {"checksum": 18, "disk_signature": 10}
    return {
        name: f"{value:#0{digits[name]}x}" if name in digits and isinstance(value, int) else value
        for name, value in fields
    }


def inspect(path: str | os.PathLike[str], *, sector_size: int | None = None) -> DiskNode:
    """Look at a disk image or device.

    Raises:
        ImageInvalid: If it cannot be read or has no sound partition table.

    """
    with open_disk(Path(path), sector_size) as opened:
        boot, problem = None, ""
        try:
            partition, region = opened.boot_partition()
            boot = _boot(partition, region)
        except PartitionTableInvalid as error:
            problem = error.message
        return DiskNode(
            path=str(path),
            size=opened.medium.size,
            sector_size=opened.sector_size,
            disk_signature=opened.table.disk_signature,
            partitions=_partitions(opened),
            boot=boot,
            problem=problem,
        )


def _partitions(opened: Disk) -> tuple[PartitionNode, ...]:
    return tuple(
        PartitionNode(one.number, one.type, one.active, one.first_lba, one.sectors, one.size)
        for one in opened.table.partitions
    )


def _boot(partition: Partition, boot: Region) -> BootNode:
    slots = tuple(_slot(boot, index) for index in range(disk.LOADER_SLOTS))
    manifests = tuple(_manifest(boot, slot) for slot in range(disk.MANIFEST_SLOTS))
    valid = [manifest for manifest in manifests if not manifest.problem]
    newest = max(valid, key=lambda manifest: manifest.sequence, default=None)
    if newest and any(blob.problem for blob in newest.blobs):
        newest = None
    return BootNode(
        partition=partition.number,
        loader_slots=slots,
        manifests=manifests,
        boots=newest.sequence if newest and any(not slot.problem for slot in slots) else None,
        memory=_memory(boot, slots, newest),
    )


def _slot(boot: Region, index: int) -> SlotNode:
    offset = index * disk.LOADER_SLOT_BYTES
    data = read_slot(boot, index)
    problem = ""
    try:
        check_slot(data)
    except FormatInvalid as error:
        problem = error.message
    try:
        header = disk.LoaderHeader.decode(data)
    except FormatInvalid:
        return SlotNode("AB"[index], offset, problem)
    stages = [StageNode("stage 2", 0, header.size, STAGE2, header.size, header.sum)]
    stages += [
        StageNode(name, record.offset, record.packed, record.address, record.memory, record.checksum)
        for name, record in zip(disk.STAGE_NAMES, header.stages, strict=True)
        if record.packed
    ]
    return SlotNode(
        name="AB"[index],
        offset=offset,
        problem=problem,
        stages=tuple(stages),
        verbose=bool(header.flags & disk.FLAG_VERBOSE),
        framebuffer=header.framebuffer,
        sector_size=header.sector_size,
        partition_bytes=header.partition_bytes,
    )


def _manifest(boot: Region, slot: int) -> ManifestNode:
    offset = manifest_offset(slot)
    if slot_is_empty(boot, slot):
        return ManifestNode(slot, offset, "empty")
    try:
        manifest = read_manifest(boot, slot)
    except FormatInvalid as error:
        return ManifestNode(slot, offset, error.message)
    return ManifestNode(
        slot, offset, "", manifest.sequence, tuple(blob_node(boot, blob, disk.DATA_OFFSET) for blob in manifest.blobs)
    )


def blob_node(boot: Medium, blob: disk.BlobRecord, start: int) -> BlobNode:
    """Look at a blob whose chunks lie from `start` on."""
    chunks: tuple[disk.ChunkRecord, ...] = ()
    problem = text = ""
    try:
        chunks = blob.decode_table(boot.read(blob.table, blob.table_bytes), boot.size, start=start)
        for index, chunk in enumerate(chunks):
            if disk.xxh64(boot.read(chunk.offset, chunk.packed)) != chunk.checksum:
                problem = problem or f"chunk {index} at {chunk.offset:#x}: its checksum is wrong"
        if blob.kind == disk.COMMAND_LINE and not problem:
            text = b"".join(read_chunks(boot, chunks)).decode("utf-8", "replace")
    except FormatInvalid as error:
        problem = error.message
    return BlobNode(
        kind=disk.KIND_NAMES[blob.kind],
        size=blob.size,
        packed=sum(chunk.packed for chunk in chunks),
        checksum=blob.checksum,
        table=blob.table,
        problem=problem,
        chunks=tuple(
            ChunkNode(chunk.offset, chunk.packed, chunk.unpacked, BY_NUMBER[chunk.codec].name, chunk.checksum)
            for chunk in chunks
        ),
        text=text,
        name=_printable(blob.name),
        options=tuple(option for bit, option in _OPTIONS.items() if blob.flags & bit),
    )


_OPTIONS = {disk.BLOB_ALLOW_WX: "allow-wx", disk.BLOB_RANDOMISE: "randomise"}


def _printable(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _memory(boot: Region, slots: tuple[SlotNode, ...], newest: ManifestNode | None) -> tuple[PlaceNode, ...]:
    """The fixed places of the stages, and what the kernel asks for."""
    places = [PlaceNode("stage 1", BOOT_SECTOR, BOOT_SECTOR + 512, fixed=True)]
    slot = next((slot for slot in slots if not slot.problem), None)
    stages = slot.stages if slot else ()
    places += [PlaceNode(stage.name, stage.address, stage.address + stage.memory, fixed=True) for stage in stages]
    if newest:
        places += _payload_places(boot, newest.slot)
    return tuple(sorted(places, key=lambda place: place.start))


def _payload_places(boot: Region, slot: int) -> list[PlaceNode]:
    from bootslang.kernel import Kernel

    generation = read_generation(boot, slot)
    blobs = list(zip(generation.manifest.blobs, generation.tables, strict=True))
    record, table = next((blob, table) for blob, table in blobs if blob.kind in disk.KERNEL_KINDS)
    if record.kind == disk.KERNEL_HANDOFF:
        return []  # kernel and modules go where there is room
    initrd = sum(-(-blob.size // 4) * 4 for blob, _ in blobs if blob.kind == disk.INITRD)
    try:
        kernel = Kernel.read(b"".join(read_chunks(boot, table)), protocol="linux")
    except BootslangError:
        return []  # `verify` says what is wrong with it
    places = [PlaceNode("kernel", kernel.memory.start, kernel.memory.stop, fixed=False)]
    if initrd:
        end = (kernel.limits.initrd_address_max + 1) // disk.ALIGNMENT * disk.ALIGNMENT
        places.append(PlaceNode("initrd, at most", max(0, end - initrd), end, fixed=False))
    return places

"""MBR partition tables: reading any, strictly, and writing the one of a fresh image.

A table that contradicts itself or its disk is refused by name rather than guessed at: what we would guess wrong is
somebody's data. Structures: an MBR at sector 0, and for logical partitions a chain of EBRs in the extended partition.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bootslang.errors import PartitionTableInvalid
from bootslang.image.medium import Medium

MBR_BYTES: Final = 512
CODE_BYTES: Final = 440
"""Boot code; the disk signature (440), two reserved bytes (444) and the table (446) are not ours to touch."""
SIGNATURE_OFFSET: Final = 440
TABLE_OFFSET: Final = 446
MAGIC_OFFSET: Final = 510
MAGIC: Final = b"\x55\xaa"

ACTIVE: Final = 0x80
EXTENDED_TYPES: Final = frozenset({0x05, 0x0F, 0x85})
PROTECTIVE: Final = 0xEE
LINUX: Final = 0x83
NON_FS_DATA: Final = 0xDA
"""The type of a boot partition. It says "data without a file system", which is the truth: no system probes it, offers
to format it or mounts it, and every partitioner knows its name."""
MAX_LOGICAL: Final = 128
SECTOR_SIZES: Final = (512, 4096)
ALIGNMENT_BYTES: Final = 0x10_0000
"""A fresh table starts its partitions at multiples of 1 MiB, as every partitioner does since 2010."""
MAX_LBA: Final = 0xFFFF_FFFF

_ENTRY: Final = struct.Struct("<B3sB3sII")


@dataclass(frozen=True)
class Partition:
    """One entry, primary or logical, in absolute sectors."""

    number: int
    """As `fdisk` counts: 1 to 4 are primary, logical ones start at 5."""
    type: int
    active: bool
    first_lba: int
    sectors: int
    sector_size: int

    @property
    def end_lba(self) -> int:
        """The first sector after it."""
        return self.first_lba + self.sectors

    @property
    def offset(self) -> int:
        """From the start of the disk, in bytes."""
        return self.first_lba * self.sector_size

    @property
    def size(self) -> int:
        """In bytes."""
        return self.sectors * self.sector_size

    @property
    def logical(self) -> bool:
        """Whether it lies in the extended partition."""
        return self.number > 4

    @property
    def extended(self) -> bool:
        """Whether it is the one that holds the logical ones."""
        return self.type in EXTENDED_TYPES


@dataclass(frozen=True)
class PartitionTable:
    """What a disk's MBR and EBRs say."""

    disk_signature: int
    partitions: tuple[Partition, ...]
    """Without empty entries; the extended partition included."""

    @property
    def active(self) -> Partition | None:
        """The partition that a BIOS disk boots from."""
        return next((partition for partition in self.partitions if partition.active), None)


def read_partition_table(medium: Medium, sector_size: int) -> PartitionTable:
    """Read and check the whole table, the chain of EBRs included.

    Raises:
        PartitionTableInvalid: For everything that is not a sound MBR table of this disk.

    """
    sector = _boot_sector(medium, 0, "sector 0")
    disk_sectors = medium.size // sector_size
    primary = [
        _check_range(partition, disk_sectors)
        for partition in _entries(sector, "the partition table", sector_size)
        if partition is not None
    ]
    protective = next((partition for partition in primary if partition.type == PROTECTIVE), None)
    if protective:
        raise PartitionTableInvalid(
            f"The disk has a GPT (partition {protective.number} of its MBR is a protective one, type 0xee).",
            hint="Only MBR (DOS) partition tables can be installed to: make one with `sfdisk` (label: dos).",
        )
    extended = [partition for partition in primary if partition.extended]
    if len(extended) > 1:
        raise PartitionTableInvalid("The partition table has two extended partitions.")
    logical = _logical_partitions(medium, extended[0], sector_size) if extended else []
    _check_overlaps([partition for partition in primary + logical if not partition.extended], extended)
    partitions = (*primary, *logical)
    active = [partition.number for partition in partitions if partition.active]
    if len(active) > 1:
        raise PartitionTableInvalid(
            f"Partitions {' and '.join(map(str, active))} are both active; a BIOS disk boots from one.",
            hint="Clear the boot flag of all but one, for example with `sfdisk --activate DISK NUMBER`.",
        )
    return PartitionTable(int.from_bytes(sector[SIGNATURE_OFFSET : SIGNATURE_OFFSET + 4], "little"), partitions)


def _boot_sector(medium: Medium, offset: int, where: str) -> bytes:
    if offset + MBR_BYTES > medium.size:
        raise PartitionTableInvalid(f"There is no partition table: {where} lies beyond the end of the disk.")
    sector = medium.read(offset, MBR_BYTES)
    if sector[MAGIC_OFFSET:] != MAGIC:
        raise PartitionTableInvalid(
            f"There is no partition table: {where} ends with {sector[MAGIC_OFFSET:].hex(' ')} instead of 55 aa.",
            hint="To have a new image made, name a file that does not exist.",
        )
    return sector


def _entries(sector: bytes, where: str, sector_size: int) -> list[Partition | None]:
    """The four entries of an MBR or EBR as they stand, with None for empty ones."""
    found: list[Partition | None] = []
    for index, (status, _, kind, _, first_lba, sectors) in enumerate(
        _ENTRY.iter_unpack(sector[TABLE_OFFSET:MAGIC_OFFSET])
    ):
        name = f"Entry {index + 1} of {where}"
        if status not in {0, ACTIVE}:
            raise PartitionTableInvalid(
                f"{name} has status {status:#04x}, which is neither active nor inactive.",
                hint="This may be a file system without a partition table.",
            )
        if kind == 0:
            if status == ACTIVE or sectors:
                raise PartitionTableInvalid(f"{name} has no type, but is {'active' if status else 'not empty'}.")
            found.append(None)
            continue
        if sectors == 0:
            raise PartitionTableInvalid(f"{name} has type {kind:#04x}, but no sectors.")
        found.append(Partition(index + 1, kind, status == ACTIVE, first_lba, sectors, sector_size))
    return found


def _check_range(partition: Partition, disk_sectors: int) -> Partition:
    if partition.first_lba == 0:
        raise PartitionTableInvalid(f"Partition {partition.number} starts at sector 0, on the partition table itself.")
    if partition.type != PROTECTIVE and partition.end_lba > disk_sectors:
        raise PartitionTableInvalid(
            f"Partition {partition.number} ends at sector {partition.end_lba}, "
            f"beyond the disk, which has {disk_sectors} sectors of {partition.sector_size} bytes.",
            hint="Was the image cut off, or made for another sector size?",
        )
    return partition


def _logical_partitions(medium: Medium, extended: Partition, sector_size: int) -> list[Partition]:
    """Follow the chain of EBRs. The first lies at the extended partition's start, and each names the next."""
    found: list[Partition] = []
    visited: set[int] = set()
    lba = extended.first_lba
    while True:
        if lba in visited:
            raise PartitionTableInvalid(
                f"The chain of logical partitions loops: its table at sector {lba} comes twice."
            )
        visited.add(lba)
        if len(visited) > MAX_LOGICAL:
            raise PartitionTableInvalid(f"The chain of logical partitions has more than {MAX_LOGICAL} tables.")
        where = f"the logical partition table at sector {lba}"
        data, link, *rest = _entries(_boot_sector(medium, lba * sector_size, where), where, sector_size)
        if any(rest):
            raise PartitionTableInvalid(f"Entries 3 and 4 of {where} are not empty.")
        if data:
            found.append(_logical(data, lba, extended, 5 + len(found)))
        if link is None:
            break
        if not link.extended:
            raise PartitionTableInvalid(f"Entry 2 of {where} has type {link.type:#04x} and leads to no further table.")
        lba = extended.first_lba + link.first_lba
        if lba >= extended.end_lba:
            raise PartitionTableInvalid(f"Entry 2 of {where} leads to sector {lba}, outside of the extended partition.")
    _check_chain(found, visited)
    return found


def _check_chain(logical: Sequence[Partition], ebrs: set[int]) -> None:
    """No logical partition may cover one of the tables in the chain."""
    for partition in logical:
        hit = next((lba for lba in sorted(ebrs) if partition.first_lba <= lba < partition.end_lba), None)
        if hit is not None:
            raise PartitionTableInvalid(f"Logical partition {partition.number} covers the table at sector {hit}.")


def _logical(data: Partition, ebr_lba: int, extended: Partition, number: int) -> Partition:
    """The logical partition in an EBR's first entry, whose start counts from that EBR."""
    if data.extended:
        raise PartitionTableInvalid(f"The table of logical partition {number} holds a nested extended partition.")
    partition = Partition(number, data.type, data.active, ebr_lba + data.first_lba, data.sectors, data.sector_size)
    if data.first_lba == 0 or partition.end_lba > extended.end_lba:
        raise PartitionTableInvalid(
            f"Logical partition {number} (sectors {partition.first_lba} to {partition.end_lba}) "
            f"does not lie inside the extended partition (to {extended.end_lba})."
        )
    return partition


def _check_overlaps(partitions: Sequence[Partition], extended: Sequence[Partition]) -> None:
    primary = [partition for partition in partitions if not partition.logical]
    for group in ([*partitions], [*primary, *extended]):
        group.sort(key=lambda partition: partition.first_lba)
        for one, other in pairwise(group):
            if one.end_lba > other.first_lba:
                raise PartitionTableInvalid(
                    f"Partitions {one.number} and {other.number} overlap: one ends at sector {one.end_lba}, "
                    f"the other starts at {other.first_lba}."
                )


def write_partition_table(disk_signature: int, partitions: Sequence[Partition]) -> bytes:
    """The 512 bytes of an MBR with these primary partitions and without code."""
    sector = bytearray(MBR_BYTES)
    struct.pack_into("<I", sector, SIGNATURE_OFFSET, disk_signature)
    for partition in partitions:
        _ENTRY.pack_into(
            sector,
            TABLE_OFFSET + (partition.number - 1) * _ENTRY.size,
            ACTIVE if partition.active else 0,
            _chs(partition.first_lba),
            partition.type,
            _chs(partition.end_lba - 1),
            partition.first_lba,
            partition.sectors,
        )
    sector[MAGIC_OFFSET:] = MAGIC
    return bytes(sector)


def _chs(lba: int) -> bytes:
    """Cylinder, head, sector as an entry packs them, for 255 heads and 63 sectors; 1023/254/63 when too far."""
    cylinder, rest = divmod(lba, 255 * 63)
    head, sector = divmod(rest, 63)
    if cylinder > 1023:
        cylinder, head, sector = 1023, 254, 62
    return bytes([head, sector + 1 | cylinder >> 2 & 0xC0, cylinder & 0xFF])

"""Open a disk for reading, and find its boot partition: where `inspect` and `verify` begin."""

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootslang.errors import ImageInvalid, PartitionTableInvalid
from bootslang.image import format as disk
from bootslang.image.loader import read_slot, slot_is_whole
from bootslang.image.medium import FileMedium, Medium, Region
from bootslang.image.partitions import Partition, PartitionTable, read_partition_table
from bootslang.image.target import device_sector_size


@dataclass(frozen=True)
class Disk:
    """A disk that is open for reading."""

    path: Path
    medium: Medium
    sector_size: int
    table: PartitionTable

    def boot_partition(self) -> tuple[Partition, Region]:
        """The active partition and a window into it.

        Raises:
            PartitionTableInvalid: If there is none that can be booted from.

        """
        partition = bootable(self.table.active)
        if partition.size < disk.DATA_OFFSET:
            raise PartitionTableInvalid(
                f"The active partition {partition.number} has {partition.size} bytes, "
                f"too few for a boot partition's {disk.DATA_OFFSET}."
            )
        return partition, Region(self.medium, partition.offset, partition.size)


@contextlib.contextmanager
def open_disk(path: Path, sector_size: int | None = None) -> Iterator[Disk]:
    """Open an image or device, and read its partition table.

    Raises:
        ImageInvalid: If it cannot be read.
        PartitionTableInvalid: If the table is unsound.

    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageInvalid(f"{path} is a directory, not a disk.")
        with io.FileIO(path, "r") as file:
            medium = FileMedium(file, file.seek(0, os.SEEK_END), name=path)
            if sector_size is None and stat.S_ISBLK(mode):
                sector_size = device_sector_size(file)
            sector_size = sector_size or guess_sector_size(medium)
            yield Disk(path, medium, sector_size, read_partition_table(medium, sector_size))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageInvalid(f"{path} cannot be read: {reason}.") from error


def bootable(active: Partition | None) -> Partition:
    """The active partition, if there is one that can be booted from.

    Raises:
        PartitionTableInvalid: If not.

    """
    if active is None:
        raise PartitionTableInvalid(
            "The disk has no active partition.",
            hint="Mark one with the boot flag, for example: sfdisk --activate DISK 1",
        )
    if active.extended:
        raise PartitionTableInvalid(
            f"The active partition {active.number} is the extended one, which has no room of its own.",
            hint="Make a primary or a logical partition active.",
        )
    return active


def guess_sector_size(medium: Medium) -> int:
    """4096 where a loader for such sectors lies in the active partition, read with that size; else 512."""
    try:
        active = read_partition_table(medium, 4096).active
    except PartitionTableInvalid:
        return 512
    if active is None or active.size < disk.DATA_OFFSET:
        return 512
    boot = Region(medium, active.offset, active.size)
    slots = (read_slot(boot, index) for index in range(disk.LOADER_SLOTS))
    ours = any(slot_is_whole(slot) and disk.LoaderHeader.decode(slot).sector_size == 4096 for slot in slots)
    return 4096 if ours else 512

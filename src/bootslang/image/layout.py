"""How a new disk is divided: the boot partition, and the root partition where one is wanted."""

import re
from dataclasses import dataclass
from typing import Final, Self

from bootslang.errors import NoRoom, UsageError
from bootslang.image import format as disk
from bootslang.image.partitions import ALIGNMENT_BYTES, LINUX, MAX_LBA, NON_FS_DATA, Partition

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class NewDisk:
    """Where the partitions of a new image lie."""

    size: int
    boot: Partition
    root: Partition | None

    @property
    def partitions(self) -> list[Partition]:
        """What goes into the table."""
        return [self.boot, *([self.root] if self.root else [])]

    @classmethod
    def of(cls, room: int, size: int | str | None, sector_size: int, root_least: int) -> Self:
        """By default the boot partition has room for two generations and an eighth of growth.

        In a disk of a given size, the root partition takes the rest; without one the boot partition does.
        """
        start = ALIGNMENT_BYTES
        least = disk.DATA_OFFSET + room
        wanted = whole_mib(least + room + room // 8)
        if size is None:
            total, boot = start + wanted + root_least, wanted
        else:
            total = parse_size(size)
            if total % sector_size:
                raise UsageError(f"A disk of {total} bytes is no whole number of {sector_size}-byte sectors.")
            available = total - start
            least = whole_mib(least) if root_least else least
            if least + root_least > available:
                raise NoRoom(
                    f"The content needs a disk of {start + least + root_least} bytes; "
                    f"{total} are {start + least + root_least - total} too few.",
                    hint="Give a larger --size, or none.",
                )
            boot = min(wanted, (available - root_least) // whole_mib(1) * whole_mib(1)) if root_least else available
        boot_sectors = min(boot // sector_size, MAX_LBA)
        first = _partition(1, NON_FS_DATA, start // sector_size, boot_sectors, sector_size)
        if not root_least:
            return cls(total, first, None)
        left = min((total - first.offset - first.size) // sector_size, MAX_LBA)
        return cls(total, first, _partition(2, LINUX, first.end_lba, left, sector_size))


def _partition(number: int, kind: int, first_lba: int, sectors: int, sector_size: int) -> Partition:
    return Partition(number, kind, number == 1, first_lba, sectors, sector_size)


def whole_mib(size: int) -> int:
    """`size` rounded up to whole MiB."""
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def parse_size(size: int | str) -> int:
    """Bytes from a number, or from a text like "512M" or "2GiB" (units of 1024).

    Raises:
        UsageError: If it is no size.

    """
    found = re.fullmatch(r"(\d{1,18})\s*([KMGT]?)(i?B)?", str(size).strip(), re.IGNORECASE | re.ASCII)
    if not found or int(found[1]) == 0:
        raise UsageError(f"{size!r} is no size.", hint="Write bytes, or a number with K, M, G or T: 512M.")
    return int(found[1]) * _UNITS[found[2].upper()]

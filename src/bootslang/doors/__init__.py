"""By which doors other loaders start an ELF file: the headers of Multiboot 1 and 2, and the notes of Xen PVH.

Read as the strictest of those loaders reads them. `bootslang loader` looks at what it has written with this before it
calls it done; files of others are read as well. Every number in the file is untrusted, and each that cannot be gets a
message of its own.
"""

from dataclasses import dataclass

from bootslang.doors import multiboot, pvh
from bootslang.doors.elf import Relocation, read_elf

__all__ = ["Doors", "Relocation", "read_doors"]


@dataclass(frozen=True)
class Doors:
    """How a file can be started.

    Attributes:
        multiboot1: Where in the file the header of Multiboot 1 is; None if there is none.
        multiboot2: The same for Multiboot 2.
        multiboot2_relocation: Where a Multiboot 2 loader may put it, if it may be moved.
        pvh_entry: The physical address at which PVH enters it; None if there is no such note.
        pvh_relocation: Where a PVH loader may put it, if it may be moved.

    """

    multiboot1: int | None = None
    multiboot2: int | None = None
    multiboot2_relocation: Relocation | None = None
    pvh_entry: int | None = None
    pvh_relocation: Relocation | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The doors that there are, as users call them."""
        there = {
            "Multiboot 1": self.multiboot1,
            "Multiboot 2": self.multiboot2,
            "PVH": self.pvh_entry,
        }
        return tuple(name for name, found in there.items() if found is not None)


def read_doors(file: bytes) -> Doors:
    """Find the doors of an ELF file.

    Raises:
        KernelInvalid: It is no ELF file, or a loader would refuse one of its doors, or misunderstand it.

    """
    entry, parts = read_elf(file)
    first = multiboot.find(file, multiboot.MULTIBOOT1)
    if first is not None:
        multiboot.check_flags(file, first, entry, parts)
    second = multiboot.find(file, multiboot.MULTIBOOT2)
    tags = {} if second is None else multiboot.read_tags(file, second)
    if second is not None:
        multiboot.check_tags(tags, entry, parts)
    notes = pvh.read_notes(file, parts)
    return Doors(
        multiboot1=first,
        multiboot2=second,
        multiboot2_relocation=multiboot.read_relocation(tags, parts),
        pvh_entry=pvh.read_entry(notes, parts),
        pvh_relocation=pvh.read_relocation(notes, parts),
    )

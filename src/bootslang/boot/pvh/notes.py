"""The ELF notes by which a machine monitor knows that the loader's file is entered by PVH, made when it is written.

They are in a PT_NOTE segment with an alignment of 4: QEMU counts padding by the segment's alignment. Sources: Xen,
xen/include/public/elfnote.h and docs/misc/pvh.pandoc; QEMU 7.2, hw/i386/x86.c, `read_pvh_start_addr`.
"""

from typing import Final, Literal

from bootslang.boot.lift.limits import ONE_MIB, PAGE

NAME: Final = b"Xen\0"
PHYS32_ENTRY: Final = 18
"""Where to enter in 32-bit mode, paging off."""
PHYS32_RELOC: Final = 19
"""The file may be moved: at which multiples, not below which address, up to which last byte."""
HIGHEST: Final = 0xFFFF_FFFF
ALIGNMENT: Final = 4


def note(kind: int, content: bytes) -> bytes:
    """An ELF note of Xen's; all its parts are multiples of 4 bytes."""
    return b"".join(number.to_bytes(4, "little") for number in (len(NAME), len(content), kind)) + NAME + content


def pvh_notes(entry: int, *, bits: Literal[32, 64]) -> bytes:
    """The notes of a file that is entered at the physical address `entry`, if nobody moves it.

    The address is as wide as the file's class: QEMU reads 8 bytes from the note of an ELF64, as Linux writes them, and
    4 from that of an ELF32.
    """
    bounds = b"".join(number.to_bytes(4, "little") for number in (PAGE, ONE_MIB, HIGHEST))
    return note(PHYS32_ENTRY, entry.to_bytes(bits // 8, "little")) + note(PHYS32_RELOC, bounds)

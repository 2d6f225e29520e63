"""The headers by which a Multiboot loader knows the loader's file, made at import: bytes without any address in them.

The linker puts them first behind the ELF headers, so they lie in the first 8 KiB, where Multiboot 1 is looked for, and
the first 32 KiB, where Multiboot 2 is. The ELF file says what goes where and where to enter.

- Multiboot 2 is in every file. A tag tells that the file may be moved, so GRUB puts it wherever there is room.
- Multiboot 1 is in the ELF32 alone: QEMU refuses an ELF64 that has its header. The linked image has room for it, which
  whoever writes an ELF32 fills with `multiboot1_header()`.
- Neither asks for a framebuffer. GRUB under a BIOS then stays in text mode, where our messages are seen; with a
  framebuffer tag, even an optional one, it would set its default graphics mode, whatever `gfxpayload` was before. GRUB
  under UEFI hands its framebuffer over in any case, after a warning that there is no console
  (grub-core/loader/multiboot.c, `set_console` and `set_video_mode`).

Sources: Multiboot Specification 0.6.96, 3.1; Multiboot2 Specification 2.0, 3.1; GRUB 2.06.
"""

from typing import Final

from bootslang.boot.lift.limits import ONE_MIB, PAGE
from bootslang.slang import array, compile_for, placed, u32, u64

compile_for("long64")

MULTIBOOT1_MAGIC: Final = 0x1BAD_B002
ALIGN_MODULES: Final = 1
"""Each module starts on a page of its own."""
TELL_MEMORY: Final = 2

MULTIBOOT2_MAGIC: Final = 0xE852_50D6
I386: Final = 0
OPTIONAL: Final = 1
INFORMATION_REQUEST: Final = 1
MODULE_ALIGNMENT: Final = 6
RELOCATABLE: Final = 10
END: Final = 0
REQUESTED: Final = (1, 2, 3, 4, 6, 8, 10, 11, 12, 14, 15, 17)
"""Tags of the information that `multiboot2.py` reads. None of them has to be known to a loader."""
LOWEST: Final = ONE_MIB
HIGHEST: Final = 0xFFFF_FFFF
"""Addresses between which the whole file may be put."""
PREFER_HIGH: Final = 2
"""As high as possible: kernels with fixed addresses have them low."""


def words(*numbers: int) -> bytes:
    """32-bit numbers as they lie in memory."""
    return b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in numbers)


def tag(kind: int, flags: int, *numbers: int) -> bytes:
    """A tag of the header of Multiboot 2, filled up to a multiple of 8 bytes."""
    data = words(kind | flags << 16, 8 + 4 * len(numbers), *numbers)
    return data + bytes(-len(data) % 8)


def multiboot1_header() -> bytes:
    """The header of Multiboot 1: its three numbers add up to 0."""
    flags = ALIGN_MODULES | TELL_MEMORY
    return words(MULTIBOOT1_MAGIC, flags, -(MULTIBOOT1_MAGIC + flags))


def multiboot2_header() -> bytes:
    """The header of Multiboot 2 with its tags; the four numbers that it begins with add up to 0."""
    tags = (
        tag(INFORMATION_REQUEST, OPTIONAL, *REQUESTED)
        + tag(MODULE_ALIGNMENT, 0)
        + tag(RELOCATABLE, OPTIONAL, LOWEST, HIGHEST, PAGE, PREFER_HIGH)
        + tag(END, 0)
    )
    size = 16 + len(tags)
    return words(MULTIBOOT2_MAGIC, I386, size, -(MULTIBOOT2_MAGIC + I386 + size)) + tags


HEADER: Final = multiboot2_header()
MULTIBOOT2: Final = placed(
    ".header.multiboot2",
    array[u64](int.from_bytes(HEADER[at : at + 8], "little") for at in range(0, len(HEADER), 8)),
)
"""In words of 64 bits, for it has to lie at a multiple of 8 bytes."""
MULTIBOOT1: Final = placed(".header.multiboot1", array[u32](3))
"""Room for the header of Multiboot 1, at a multiple of 4 bytes."""
MULTIBOOT1_SYMBOL: Final = f"{__name__}.MULTIBOOT1"
"""Where that is, among the linked image's symbols."""

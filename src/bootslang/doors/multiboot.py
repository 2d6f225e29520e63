"""Find and check the headers of Multiboot 1 and 2.

Sources: Multiboot Specification 0.6.96, 3.1; Multiboot2 Specification 2.0, 3.1; GRUB 2.06, grub-core/loader.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bootslang.doors.elf import Part, Relocation, check_entry, check_relocation
from bootslang.errors import KernelInvalid

REFUSED_FLAGS: Final = 0xFFF8
"""Of Multiboot 1: a loader has to understand them, and no specification has given them a meaning."""
HAS_ADDRESSES: Final = 1 << 16

I386: Final = 0
OPTIONAL: Final = 1
END, REQUEST, ADDRESSES, ENTRY, CONSOLE, FRAMEBUFFER, MODULE_ALIGNMENT, BOOT_SERVICES = range(8)
ENTRY_EFI32, ENTRY_EFI64, RELOCATABLE = 8, 9, 10
TAG_BYTES: Final = {
    END: 8,
    ADDRESSES: 24,
    ENTRY: 12,
    CONSOLE: 12,
    FRAMEBUFFER: 20,
    MODULE_ALIGNMENT: 8,
    BOOT_SERVICES: 8,
    ENTRY_EFI32: 12,
    ENTRY_EFI64: 12,
    RELOCATABLE: 24,
}
"""The size of each known tag but REQUEST, which has a list."""
MOST_PREFERENCE: Final = 2
"""0: anywhere, 1: low, 2: high."""


@dataclass(frozen=True)
class Protocol:
    """How a header is found: it begins with `count` numbers whose sum is 0, the first of which is `magic`.

    It starts at a multiple of `alignment`, and these numbers lie in the first `searched` bytes of the file.
    """

    name: str
    magic: int
    count: int
    alignment: int
    searched: int


MULTIBOOT1: Final = Protocol("Multiboot 1", 0x1BAD_B002, 3, 4, 8192)
MULTIBOOT2: Final = Protocol("Multiboot 2", 0xE852_50D6, 4, 8, 32768)


def find(file: bytes, protocol: Protocol) -> int | None:
    """Where the header is that the loaders take, the first one; None if there is none."""
    wrong = None
    for place in find_magic(file, protocol):
        numbers = file[place : place + 4 * protocol.count]
        if sum(struct.unpack(f"<{protocol.count}I", numbers)) & 0xFFFF_FFFF:
            wrong = place if wrong is None else wrong
        elif place + len(numbers) <= protocol.searched:
            return place
        else:
            raise KernelInvalid(
                f"the {protocol.name} header at {place:#x} lies beyond the first {protocol.searched} bytes of the file"
            )
    if wrong is not None and wrong < protocol.searched:
        raise KernelInvalid(f"the {protocol.name} header at {wrong:#x} has a wrong checksum")
    return None


def find_magic(file: bytes, protocol: Protocol) -> Iterator[int]:
    """Where a header may start: its magic number is there, and there is room for the others."""
    pattern = struct.pack("<I", protocol.magic)
    place = file.find(pattern)
    while 0 <= place <= len(file) - 4 * protocol.count:
        if place % protocol.alignment == 0:
            yield place
        place = file.find(pattern, place + 1)


def check_flags(file: bytes, place: int, entry: int, parts: list[Part]) -> None:
    """Raise an error if a loader would refuse what the Multiboot 1 header at `place` asks for."""
    (flags,) = struct.unpack_from("<I", file, place + 4)
    if flags & REFUSED_FLAGS:
        raise KernelInvalid(f"the Multiboot 1 header has flags {flags:#x}: of the lower 16, only bits 0 to 2 are known")
    if flags & HAS_ADDRESSES == 0:
        check_entry("Multiboot 1's", entry, parts)
    else:
        numbers = file[place + 12 : place + 32]
        if len(numbers) < 20 or place + 32 > MULTIBOOT1.searched:
            raise KernelInvalid(f"the Multiboot 1 header at {place:#x} is cut off")
        header, load, load_end, bss_end, start = struct.unpack("<5I", numbers)
        check_addresses("the Multiboot 1 header", header, load, load_end, bss_end)
        if not load <= start < (bss_end or load_end or 1 << 32):
            raise KernelInvalid(f"the Multiboot 1 header enters at {start:#x}, which is not loaded")


def check_addresses(what: str, header: int, load: int, load_end: int, bss_end: int) -> None:
    """Raise an error if the addresses of a file that is loaded without its ELF headers are not in their order."""
    data_end = load_end or load  # 0: up to the file's end
    if not load <= header or (load_end and load_end <= header) or data_end < load or (bss_end and bss_end < data_end):
        raise KernelInvalid(
            f"{what} has addresses out of order: header {header:#x}, start {load:#x}, "
            f"end of data {load_end:#x}, end {bss_end:#x}"
        )


def read_tags(file: bytes, place: int) -> dict[int, tuple[int, ...]]:
    """The numbers of each tag of the Multiboot 2 header at `place`."""
    _, architecture, size, _ = struct.unpack_from("<4I", file, place)
    if architecture != I386:
        raise KernelInvalid(f"the Multiboot 2 header is for architecture {architecture}: 0 is i386")
    if size < 16 or place + size > min(len(file), MULTIBOOT2.searched):
        raise KernelInvalid(f"the Multiboot 2 header at {place:#x} has {size} bytes, more than are there")
    tags: dict[int, tuple[int, ...]] = {}
    at, end = place + 16, place + size
    while True:
        if at + 8 > end:
            raise KernelInvalid("the Multiboot 2 header has no end tag")
        kind, flags, tag_bytes = struct.unpack_from("<HHI", file, at)
        if tag_bytes < 8 or at + tag_bytes > end:
            raise KernelInvalid(
                f"the Multiboot 2 header's tag {kind} has {tag_bytes} bytes: 8 to {end - at} are possible"
            )
        if kind in (REQUEST, *TAG_BYTES):
            if tag_bytes != TAG_BYTES.get(kind, tag_bytes):
                raise KernelInvalid(f"the Multiboot 2 header's tag {kind} has {tag_bytes} bytes, not {TAG_BYTES[kind]}")
            tags[kind] = struct.unpack_from(f"<{tag_bytes // 4 - 2}I", file, at + 8)
        elif not flags & OPTIONAL:
            raise KernelInvalid(f"the Multiboot 2 header's tag {kind} is unknown, and not optional")
        if kind == END:
            return tags
        at += -(-tag_bytes // 8) * 8


def check_tags(tags: dict[int, tuple[int, ...]], entry: int, parts: list[Part]) -> None:
    """Raise an error if a loader would load or enter the file where it cannot be."""
    if ADDRESSES in tags:
        check_addresses("the Multiboot 2 header", *tags[ADDRESSES])
    else:
        check_entry("Multiboot 2's", tags[ENTRY][0] if ENTRY in tags else entry, parts)


def read_relocation(tags: dict[int, tuple[int, ...]], parts: list[Part]) -> Relocation | None:
    """What tag 10 says."""
    if RELOCATABLE not in tags:
        return None
    lowest, highest, alignment, preference = tags[RELOCATABLE]
    if preference > MOST_PREFERENCE:
        raise KernelInvalid(f"the Multiboot 2 header prefers place {preference}: 0 none, 1 low, 2 high")
    relocation = Relocation(lowest, highest, alignment)
    check_relocation("the Multiboot 2 header", relocation, parts)
    return relocation

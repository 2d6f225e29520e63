"""Small ELF files with the headers and notes of other loaders, good by default, every number open to nonsense."""

from __future__ import annotations

import struct
from dataclasses import dataclass

BASE = 0x20_0000
HEADERS_AT = 0x200
"""Where the Multiboot headers of a `DoorFile` start."""


def words(*numbers: int) -> bytes:
    return b"".join(struct.pack("<I", number & 0xFFFF_FFFF) for number in numbers)


def multiboot1(flags: int = 3, *more: int, off: int = 0) -> bytes:
    """The header of Multiboot 1; `off` spoils its sum."""
    return words(0x1BAD_B002, flags, off - (0x1BAD_B002 + flags), *more)


def header_tag(kind: int, *numbers: int, flags: int = 0, size: int | None = None) -> bytes:
    """A tag of the header of Multiboot 2, filled up to a multiple of 8 bytes."""
    data = struct.pack("<HHI", kind, flags, 8 + 4 * len(numbers) if size is None else size) + words(*numbers)
    return data + bytes(-len(data) % 8)


END = header_tag(0)
RELOCATABLE = header_tag(10, 0x10_0000, 0xFFFF_FFFF, 0x1000, 2)


def multiboot2(*tags: bytes, architecture: int = 0, size: int | None = None, off: int = 0) -> bytes:
    """The header of Multiboot 2; `off` spoils its sum."""
    data = b"".join(tags)
    size = 16 + len(data) if size is None else size
    return words(0xE852_50D6, architecture, size, off - (0xE852_50D6 + architecture + size)) + data


def note(kind: int, content: bytes, name: bytes = b"Xen\0", sizes: tuple[int, int] | None = None) -> bytes:
    """An ELF note; `sizes` are what it says of its name and content."""
    head = struct.pack("<III", *(sizes or (len(name), len(content))), kind)
    return head + name + bytes(-len(name) % 4) + content + bytes(-len(content) % 4)


@dataclass
class DoorFile:
    """One segment that is the whole file, and notes at its end."""

    headers: bytes = b""
    notes: bytes = b""
    bits: int = 64
    entry: int = BASE
    note_align: int = 4
    machine: int | None = None
    memory: int = 0x1_0000
    headers_at: int = HEADERS_AT

    @property
    def data(self) -> bytes:
        header, part, machine = (64, 56, 62) if self.bits == 64 else (52, 32, 3)
        body = self.headers_at + len(self.headers) + -len(self.headers) % 4
        size = body + len(self.notes)
        identification = b"\x7fELF" + bytes([self.bits // 32, 1, 1]) + bytes(9)
        machine = machine if self.machine is None else self.machine
        numbers = (2, machine, 1, self.entry, header, 0, 0, header, part, 2, 0, 0, 0)
        head = identification + struct.pack("<HHIQQQIHHHHHH" if self.bits == 64 else "<HHIIIIIHHHHHH", *numbers)
        for kind, offset, file_bytes, memory, align in (
            (1, 0, size, max(size, self.memory), 4096),
            (4, body, len(self.notes), len(self.notes), self.note_align),
        ):
            place = BASE + offset
            head += (
                struct.pack("<IIQQQQQQ", kind, 5, offset, place, place, file_bytes, memory, align)
                if self.bits == 64
                else struct.pack("<8I", kind, offset, place, place, file_bytes, memory, 5, align)
            )
        return head.ljust(self.headers_at, b"\0") + self.headers.ljust(body - self.headers_at, b"\0") + self.notes

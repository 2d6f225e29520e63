"""What loaders hand over, put into memory as they do: Multiboot 1 and 2 information, PVH's start info.

Every number may be made wrong: by a field of a piece, or by `patches`, which overwrite bytes of the head, as
{offset: bytes}.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.payloads import MIB
from support.reach import kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bootslang.boot.context import BootContext
    from support.reach import Reach

Line = tuple[int, int, int]
"""Of a memory map: base, size, kind."""
PC: Sequence[Line] = ((0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0xF0000, 0x10000, 2), (MIB, 127 * MIB, 1))
"""What QEMU with 128 MiB tells, about."""


@dataclass(frozen=True)
class File:
    """A module: bytes that are put into memory, or an address and a size that are only told."""

    data: bytes = b""
    text: bytes | None = None
    place: tuple[int, int] | None = None

    def extent(self, memory: Reach) -> tuple[int, int]:
        return self.place or (memory.put(self.data), len(self.data))


@dataclass(frozen=True)
class Picture:
    """A screen; by default a framebuffer of QEMU's."""

    base: int = 0xFD00_0000
    pitch: int = 3200
    width: int = 800
    height: int = 600
    depth: int = 32
    kind: int = 1
    colours: bytes = bytes((16, 8, 8, 8, 0, 8))

    @property
    def numbers(self) -> bytes:
        return struct.pack("<QIIIBB", self.base, self.pitch, self.width, self.height, self.depth, self.kind)


TEXT_SCREEN = Picture(0xB8000, 160, 80, 25, 16, 2, b"")


def patched(data: bytes, patches: Mapping[int, bytes]) -> bytes:
    changed = bytearray(data)
    for start, patch in patches.items():
        changed[start : start + len(patch)] = patch
    return bytes(changed)


@dataclass
class Multiboot1:
    """The information of Multiboot 1; what is None is not told."""

    line: bytes | None = None
    name: bytes | None = None
    sizes: tuple[int, int] | None = None
    map: Sequence[Line] | None = PC
    files: Sequence[File] | None = None
    apm: bytes | None = None
    picture: Picture | None = None
    line_bytes: int = 20
    patches: Mapping[int, bytes] = field(default_factory=dict)

    def put(self, memory: Reach) -> int:
        """Write it; return its address. The memory ends with it."""
        texts = [memory.text(file.text) for file in self.files or ()]
        extents = [file.extent(memory) for file in self.files or ()]
        entries = [
            struct.pack("<IIII", start, start + size & 0xFFFF_FFFF, line, 0)
            for (start, size), line in zip(extents, texts, strict=True)
        ]
        lines = b"".join(
            struct.pack("<IQQI", self.line_bytes, *line) + bytes(max(self.line_bytes - 20, 0))
            for line in self.map or ()
        )
        told = {
            0: self.sizes,
            2: self.line,
            3: self.files,
            6: self.map,
            9: self.name,
            10: self.apm,
            12: self.picture,
        }
        flags = sum(1 << bit for bit, what in told.items() if what is not None)
        head = bytearray(88)
        struct.pack_into("<III", head, 0, flags, *(self.sizes or (0, 0)))
        struct.pack_into("<III", head, 0x10, memory.text(self.line), len(entries), memory.put(b"".join(entries)))
        struct.pack_into("<II", head, 0x2C, len(lines), memory.put(lines))
        struct.pack_into("<II", head, 0x40, memory.text(self.name), memory.put(self.apm) if self.apm else 0)
        if self.picture:
            head += self.picture.numbers + self.picture.colours.ljust(6, b"\0")
        return memory.put_last(patched(bytes(head), self.patches))


END_TAG = struct.pack("<II", 0, 8)


def tag(kind: int, content: bytes, size: int | None = None) -> bytes:
    """A Multiboot 2 tag, filled up to a multiple of 8 bytes."""
    data = struct.pack("<II", kind, 8 + len(content) if size is None else size) + content
    return data + bytes(-len(data) % 8)


def map_tag(lines: Sequence[Line] = PC, line_bytes: int = 24) -> bytes:
    content = b"".join(struct.pack("<QQII", *line, 0).ljust(line_bytes, b"\xee") for line in lines)
    return tag(6, struct.pack("<II", line_bytes, 0) + content)


def module_tag(start: int, end: int, line: bytes = b"") -> bytes:
    return tag(3, struct.pack("<II", start, end) + line + b"\0")


def framebuffer_tag(picture: Picture) -> bytes:
    return tag(8, picture.numbers + bytes(2) + picture.colours)


def information(*tags: bytes, end: bytes = END_TAG, size: int | None = None) -> bytes:
    """The information of Multiboot 2."""
    data = b"".join((*tags, end))
    return struct.pack("<II", 8 + len(data) if size is None else size, 0) + data


def put_information(memory: Reach, *tags: bytes, end: bytes = END_TAG, size: int | None = None) -> int:
    """Write it so that the memory ends with it; return its address."""
    return memory.put_last(information(*tags, end=end, size=size))


@dataclass
class StartInfo:
    """PVH's start info."""

    line: bytes | None = None
    map: Sequence[Line] = PC
    files: Sequence[File] = ()
    rsdp: int = 0
    version: int = 1
    patches: Mapping[int, bytes] = field(default_factory=dict)

    def put(self, memory: Reach) -> int:
        """Write it; return its address. The memory ends with it."""
        texts = [memory.text(file.text) for file in self.files]
        entries = [
            struct.pack("<QQQQ", *file.extent(memory), line, 0) for file, line in zip(self.files, texts, strict=True)
        ]
        lines = [struct.pack("<QQII", *line, 0) for line in self.map]
        head = struct.pack(
            "<IIIIQQQQII",
            *(0x336E_C578, self.version, 0, len(entries), memory.put(b"".join(entries)), memory.text(self.line)),
            *(self.rsdp, memory.put(b"".join(lines)), len(lines), 0),
        )
        return memory.put_last(patched(head, self.patches))


def lines_of(context: BootContext) -> list[Line]:
    """The memory map that a door has entered."""
    return [(line.base, line.size, line.kind) for line in context.memory[: context.memory_count]]


def modules_of(context: BootContext) -> list[tuple[int, int, bytes]]:
    """The modules that a door has entered: base, size, text."""
    found = context.modules[: context.module_count]
    return [(module.base, module.size, kept(module.text, module.text_size)) for module in found]


def reservations_of(context: BootContext) -> list[Line]:
    return [(one.base, one.size, one.kind) for one in context.reservations[: context.reservation_count]]


def line_of(context: BootContext) -> bytes:
    return kept(context.command_line, context.command_line_size)


def name_of(context: BootContext) -> bytes:
    return kept(context.loader_name, context.loader_name_size)

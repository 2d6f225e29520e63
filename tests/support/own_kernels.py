"""Kernels of one's own, of no use but to be read: ELF64 files for the hand-off, made field by field."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bootslang.boot.lift.handoff import kernel as reader
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.slang import span
from support.guarded import GUARD_BYTES, Guarded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXECUTABLE, SHARED = 2, 3
READ, READ_WRITE, READ_EXECUTE, ALL = 4, 6, 5, 7
DYNAMIC, INTERPRETER, NOTE, RELRO = 2, 3, 4, 0x6474_E552
HEADER_BYTES, PROGRAM_HEADER_BYTES = 64, 56
PAGE = 0x1000


@dataclass
class Part:
    """One PT_LOAD."""

    virtual: int
    data: bytes = b""
    memory: int | None = None
    flags: int = READ_EXECUTE
    align: int = PAGE

    @property
    def size(self) -> int:
        return len(self.data) if self.memory is None else self.memory


@dataclass
class OwnKernel:
    """ELF header, program headers, then the segments' bytes one behind the other.

    `pieces` are program headers that load nothing: (type, virtual address, size). `patches` overwrites bytes.
    """

    parts: Sequence[Part]
    type: int = SHARED
    entry: int | None = None
    pieces: Sequence[tuple[int, int, int]] = ()
    patches: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def file(self) -> bytes:
        count = len(self.parts) + len(self.pieces)
        entry = self.parts[0].virtual if self.entry is None else self.entry
        header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
            "<HHIQQQIHHHHHH",
            self.type,
            62,
            1,
            entry,
            HEADER_BYTES,
            0,
            0,
            HEADER_BYTES,
            PROGRAM_HEADER_BYTES,
            count,
            0,
            0,
            0,
        )
        offset = HEADER_BYTES + count * PROGRAM_HEADER_BYTES
        for part in self.parts:
            header += program_header(1, part.flags, offset, part.virtual, len(part.data), part.size, part.align)
            offset += len(part.data)
        for kind, virtual, size in self.pieces:
            header += program_header(kind, READ, 0, virtual, size, size, 8)
        data = bytearray(header + b"".join(part.data for part in self.parts))
        for start, patch in self.patches.items():
            data[start : start + len(patch)] = patch
        return bytes(data)


def program_header(kind: int, flags: int, *numbers: int) -> bytes:
    """Offset, virtual address, bytes in the file and in memory, alignment; the physical address is nonsense."""
    offset, virtual, file_size, memory_size, align = numbers
    return struct.pack("<IIQQQQQQ", kind, flags, offset, virtual, 0xBAD, file_size, memory_size, align)


def relocation(offset: int, addend: int, kind: int = 8) -> bytes:
    """An Elf64_Rela, by default R_X86_64_RELATIVE."""
    return struct.pack("<QQQ", offset, kind, addend)


def dynamic(*entries: tuple[int, int]) -> bytes:
    """A dynamic section with its end."""
    return b"".join(struct.pack("<QQ", tag, value) for tag, value in (*entries, (0, 0)))


class Loaded:
    """A kernel that was read and put into memory of this process: `memory`, with a guard on both sides."""

    def __init__(self, kernel: OwnKernel) -> None:
        file = kernel.file
        self.kernel = HandoffKernel.zeroed()
        reader.read(span(file), len(file), self.kernel)
        self.guarded = Guarded(self.kernel.end - self.kernel.low)
        self.kernel.move_to(self.guarded.span.address)
        for index in range(self.kernel.segments.count):
            segment = self.kernel.segments.table[index]
            start = segment.virtual - self.kernel.low
            contents = file[segment.offset : segment.offset + segment.file_size].ljust(segment.memory_size, b"\0")
            place = GUARD_BYTES + start
            self.guarded.memory[place : place + segment.memory_size] = contents

    def word(self, virtual: int) -> int:
        start = virtual - self.kernel.low
        return int.from_bytes(self.guarded.data[start : start + 8], "little")

"""An ELF file as those see it who put it into memory: its program headers, and whether it can be where it is to be."""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from bootslang.errors import KernelInvalid

PT_LOAD: Final = 1
PT_NOTE: Final = 4


@dataclass(frozen=True)
class Part:
    """A program header."""

    type: int
    offset: int
    physical: int
    virtual: int
    file_bytes: int
    memory_bytes: int
    align: int


class Relocation(NamedTuple):
    """Where a file may be put as a whole: from `lowest` to `highest`, its last byte, at multiples of `alignment`."""

    lowest: int
    highest: int
    alignment: int


def read_elf(file: bytes) -> tuple[int, list[Part]]:
    """The entry and the program headers of an ELF32 for i386 or an ELF64 for x86-64."""
    classes = {
        b"\x7fELF\x01\x01\x01": ("<HHIIIIIHHHHHH", "<IIIIIIII", (0, 1, 2, 3, 4, 5, 7), 3),
        b"\x7fELF\x02\x01\x01": ("<HHIQQQIHHHHHH", "<IIQQQQQQ", (0, 2, 3, 4, 5, 6, 7), 62),
    }
    if file[:7] not in classes:
        raise KernelInvalid(f"it begins with {file[:7].hex(' ')}: no ELF file for x86")
    header_form, part_form, order, machine = classes[file[:7]]
    if len(file) < 16 + struct.calcsize(header_form):
        raise KernelInvalid(f"an ELF file of {len(file)} bytes is cut off")
    _, its_machine, _, entry, start, _, _, _, size, count, *_ = struct.unpack_from(header_form, file, 16)
    if its_machine != machine:
        raise KernelInvalid(f"an ELF file for machine {its_machine}: {machine} is x86's in its class")
    if count and size < struct.calcsize(part_form):
        raise KernelInvalid(f"program headers of {size} bytes: {struct.calcsize(part_form)} are due")
    if start + size * count > len(file):
        raise KernelInvalid(f"{count} program headers at {start:#x} reach beyond the file's {len(file)} bytes")
    parts = []
    for index in range(count):
        numbers = struct.unpack_from(part_form, file, start + index * size)
        kind, offset, virtual, physical, file_bytes, memory_bytes, align = (numbers[at] for at in order)
        parts.append(Part(kind, offset, physical, virtual, file_bytes, memory_bytes, align))
    return entry, parts


def check_entry(whose: str, entry: int, parts: list[Part]) -> None:
    """Raise an error if an entry, told by its physical or virtual address, lies in nothing that is loaded."""
    loads = [part for part in parts if part.type == PT_LOAD]
    if not any(start <= entry < start + load.memory_bytes for load in loads for start in (load.physical, load.virtual)):
        raise KernelInvalid(f"{whose} entry {entry:#x} lies in no segment that is loaded")


def check_relocation(what: str, relocation: Relocation, parts: list[Part]) -> None:
    """Raise an error if the file cannot be put anywhere by this."""
    lowest, highest, alignment = relocation
    if alignment == 0 or alignment & (alignment - 1):
        raise KernelInvalid(f"{what} wants the alignment {alignment:#x}: not a power of two")
    loads = [part for part in parts if part.type == PT_LOAD and part.memory_bytes]
    end = max((load.physical + load.memory_bytes for load in loads), default=0)
    size = end - min((load.physical for load in loads), default=0)
    start = -(-lowest // alignment) * alignment
    if start + size - 1 > highest:
        raise KernelInvalid(f"{what} wants {size:#x} bytes between {lowest:#x} and {highest:#x}: they do not fit")

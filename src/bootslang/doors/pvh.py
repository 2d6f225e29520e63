"""Read the notes of Xen PVH. Source: Xen, xen/include/public/elfnote.h."""

import struct
from collections.abc import Iterator
from typing import Final

from bootslang.doors.elf import PT_LOAD, PT_NOTE, Part, Relocation, check_relocation
from bootslang.errors import KernelInvalid

XEN: Final = b"Xen\0"
PHYS32_ENTRY, PHYS32_RELOC = 18, 19
RELOC_DEFAULTS: Final[tuple[int, ...]] = (0x20_0000, 0, 0xFFFF_FFFF)
"""PHYS32_RELOC: what holds for the numbers that it leaves out."""


def read_notes(file: bytes, parts: list[Part]) -> dict[int, bytes]:
    """The contents of Xen's notes that matter here, by their kinds."""
    notes: dict[int, bytes] = {}
    for kind, content in xen_notes(file, parts):
        if kind not in (PHYS32_ENTRY, PHYS32_RELOC):
            continue
        if notes.setdefault(kind, content) != content:
            raise KernelInvalid(
                f"there are two PVH notes of type {kind}, and they differ: loaders take this one or that"
            )
    return notes


def xen_notes(file: bytes, parts: list[Part]) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each note of Xen's; padding is counted by 4 bytes."""
    for part in parts:
        if part.type != PT_NOTE:
            continue
        if part.align not in (0, 1, 4):
            # QEMU counts padding by the segment's alignment, others by 4.
            raise KernelInvalid(f"the notes at {part.offset:#x} have the alignment {part.align}: loaders differ on it")
        if part.offset + part.file_bytes > len(file):
            raise KernelInvalid(f"the notes at {part.offset:#x} reach beyond the file's {len(file)} bytes")
        yield from segment_notes(file[part.offset : part.offset + part.file_bytes])


def segment_notes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each note of Xen's in one segment."""
    at = 0
    while at < len(data):
        if at + 12 > len(data):
            raise KernelInvalid(f"the notes end with {len(data) - at} bytes that are no note")
        name_bytes, content_bytes, kind = struct.unpack_from("<III", data, at)
        content_at = at + 12 + -(-name_bytes // 4) * 4
        if content_at + content_bytes > len(data):
            raise KernelInvalid(
                f"a note of type {kind} has a name of {name_bytes} and {content_bytes} bytes: it is cut off"
            )
        if data[at + 12 : at + 12 + name_bytes] == XEN:
            yield kind, data[content_at : content_at + content_bytes]
        at = content_at + -(-content_bytes // 4) * 4


def read_entry(notes: dict[int, bytes], parts: list[Part]) -> int | None:
    """What PHYS32_ENTRY says: 4 or 8 bytes."""
    if PHYS32_ENTRY not in notes:
        return None
    content = notes[PHYS32_ENTRY]
    if len(content) not in (4, 8):
        raise KernelInvalid(f"the PVH note has {len(content)} bytes: 4 or 8 are due")
    entry = int.from_bytes(content, "little")
    if not any(load.type == PT_LOAD and 0 <= entry - load.physical < load.memory_bytes for load in parts):
        raise KernelInvalid(f"PVH's entry {entry:#x} lies in no segment that is loaded")
    return entry


def read_relocation(notes: dict[int, bytes], parts: list[Part]) -> Relocation | None:
    """What PHYS32_RELOC says: up to three numbers, the last ones may be left out."""
    if PHYS32_RELOC not in notes:
        return None
    content = notes[PHYS32_RELOC]
    if len(content) not in (0, 4, 8, 12):
        raise KernelInvalid(f"the PVH relocation note has {len(content)} bytes: at most three numbers are due")
    told = struct.unpack(f"<{len(content) // 4}I", content)
    alignment, lowest, highest = told + RELOC_DEFAULTS[len(told) :]
    relocation = Relocation(lowest, highest, alignment)
    check_relocation("the PVH relocation note", relocation, parts)
    return relocation

"""The loader as an ELF file for other loaders: Multiboot 1 and 2, Xen PVH.

What they want is contradictory: 32-bit tools take an ELF32 only, although the code in it is 64-bit but for its first
instructions. So the same image goes into either class. The file is as small as it can be: its headers and notes lie in
the image's own head (`LinkRequest.head`), the segments follow each other without a gap, there are no sections. A sealed
payload lies behind all of it, in the file as in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from bootslang.slang.link.elf import (
    ELF32,
    ELF64,
    PF_R,
    PT_NOTE,
    Segment,
    append_segments,
    file_header,
    load,
    program_header,
)
from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.kinds import EM_386, EM_X86_64

if TYPE_CHECKING:
    from bootslang.slang.link.request import Image

HEAD_BYTES: Final = 512
"""What to ask for as `LinkRequest.head`: an ELF64 header, five program headers, and 168 bytes of notes."""
NOTE_ALIGNMENT: Final = 4


def loader_elf(image: Image, *, bits: Literal[32, 64], notes: bytes = b"", sealed_bytes: int = 0) -> bytes:
    """The ELF file of a relocatable image; if it has a sealed payload, up to where that has to follow.

    Args:
        image: Linked with `relocatable=True` and `head=HEAD_BYTES`.
        bits: 32 for an ELF32 of machine i386, 64 for an ELF64 of x86-64. The code is the same.
        notes: What the PT_NOTE segment holds.
        sealed_bytes: How much is to be loaded read-only where the image's memory ends (`__bss_end`).

    Raises:
        LinkError: The headers do not fit the head.

    """
    form, machine = (ELF32, EM_386) if bits == 32 else (ELF64, EM_X86_64)
    count = len(image.segments) + bool(notes) + bool(sealed_bytes)
    notes_at = form.header.size + form.program.size * count
    if notes_at + len(notes) > HEAD_BYTES:
        raise LinkError(f"{image.name}: ELF headers and notes are {notes_at + len(notes)} bytes; {HEAD_BYTES} fit")
    file = bytearray()
    placed = append_segments(file, image.segments, image.base, image.data)
    if sealed_bytes:
        start = image.base + image.memory_bytes
        placed += append_segments(file, [load(PF_R, start, start + sealed_bytes)], start, b"")
    if notes:
        start = image.base + notes_at
        end = start + len(notes)
        placed.append((Segment(PT_NOTE, PF_R, start, end, end, NOTE_ALIGNMENT), notes_at))
    head = file_header(form, machine, image.entry, count)
    head += b"".join(program_header(form, segment, offset) for segment, offset in placed)
    file[: notes_at + len(notes)] = head + notes
    return bytes(file)

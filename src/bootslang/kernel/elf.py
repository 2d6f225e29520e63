"""Read an ELF kernel: a `vmlinux` for x86-64 (ELF64) or i386 (ELF32), with or without debug sections.

Own reading, not a library's: every number in the file is untrusted, and each that cannot be gets a message of its own.
The machine checks the same again, in `boot/lift`; what needs the machine's memory map is left to it.

What is stored of the file (the "compacted ELF"): the ELF header and the program headers of PT_LOADs, and of PT_NOTEs
inside them, with their offsets rewritten; then the contents of the PT_LOADs, one behind the other.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from bootslang.errors import KernelInvalid
from bootslang.kernel import identify
from bootslang.kernel.file import CUT_OFF, FileBytes
from bootslang.kernel.model import (
    ADDRESS_BITS_MAX,
    LINUX_COMMAND_LINE_BYTES,
    LINUX_INITRD_ADDRESS_MAX,
    LOW_MEMORY_END,
    Extent,
    KernelKind,
    Limits,
    Segment,
)

PROGRAM_HEADERS_MAX = 64
"""Linux's vmlinux has five; the loader on the machine keeps a table of this size."""
NOTES_BYTES_MAX = 0x1_0000
"""Of one PT_NOTE: Linux's have some 500 bytes."""

_REL, _EXEC, _DYN, _CORE = 1, 2, 3, 4
_LOAD, _INTERP, _NOTE = 1, 3, 4
_NO_NUMBER = 0xFFFF
_EXECUTABLE = 1

NOT_LINKED = "Look at it with `readelf -lh`; the linker script has to place code where the entry is."


class _Header(NamedTuple):
    """The ELF header, field by field in the order of the file."""

    ident: bytes
    type: int
    machine: int
    version: int
    entry: int
    program_headers: int
    section_headers: int
    flags: int
    size: int
    program_header_size: int
    program_header_count: int
    section_header_size: int
    section_header_count: int
    names: int


class _ProgramHeader(NamedTuple):
    """A program header; ELF32 and ELF64 have the same fields in different orders."""

    number: int
    type: int
    flags: int
    offset: int
    virtual: int
    physical: int
    file_bytes: int
    memory_bytes: int
    align: int


@dataclass(frozen=True)
class _Layout:
    """Where ELF32 and ELF64 differ."""

    kind: KernelKind
    bits: int
    machine: int
    header: struct.Struct
    program_header: struct.Struct
    fields: tuple[str, ...]


_FIELDS32 = ("type", "offset", "virtual", "physical", "file_bytes", "memory_bytes", "flags", "align")
_FIELDS64 = ("type", "flags", "offset", "virtual", "physical", "file_bytes", "memory_bytes", "align")
_LAYOUTS = {
    1: _Layout(KernelKind.ELF32, 32, 3, struct.Struct("<16sHHIIIIIHHHHHH"), struct.Struct("<8I"), _FIELDS32),
    2: _Layout(KernelKind.ELF64, 64, 62, struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ"), _FIELDS64),
}


def recognises(file: FileBytes) -> bool:
    """Whether the file starts as an ELF file does, for whatever machine."""
    return file.peek(0, 4) == b"\x7fELF"


def read(file: FileBytes) -> dict[str, Any]:
    """Return what `Kernel` is made of, or raise `KernelInvalid`."""
    layout = _layout(file)
    header = _Header(*layout.header.unpack(file.read(0, layout.header.size)))
    _check_header(file, header, layout)
    table = list(_program_headers(file, header, layout))
    notes = [note for note in table if note.type == _NOTE]
    _refuse_programs(file, header, table, notes)
    loads = [load for load in table if load.type == _LOAD and load.memory_bytes]
    if not loads:
        raise file.fault("no program header has anything to load (PT_LOAD)", NOT_LINKED)
    for load in loads:
        _check_load(file, load, layout)
    _check_overlaps(file, loads)
    _check_entry(file, header.entry, loads)
    memory = range(min(load.physical for load in loads), max(load.physical + load.memory_bytes for load in loads))
    return {
        "file": file,
        "kind": layout.kind,
        "bits": layout.bits,
        "entry": header.entry,
        "segments": tuple(_segment(load) for load in loads),
        "memory": memory,
        "limits": _limits(file, layout, memory),
        "setup": None,
        "contents": _contents(header, layout, loads, notes),
    }


def _layout(file: FileBytes) -> _Layout:
    """Return the layout that the identification bytes tell, if it is one that an x86 kernel has."""
    head = file.peek(0, _LAYOUTS[1].header.size)
    if len(head) < _LAYOUTS[1].header.size or (head[4] == 2 and file.size < _LAYOUTS[2].header.size):
        raise file.fault(f"it ends after {file.size} bytes, inside the ELF header")
    if head[4] not in _LAYOUTS:
        raise file.fault(f"its ELF class is {head[4]}, neither 32-bit (1) nor 64-bit (2)")
    if head[5] not in (1, 2):
        raise file.fault(f"its ELF byte order is {head[5]}, neither little-endian (1) nor big-endian (2)")
    layout = _LAYOUTS[head[4]]
    if head[5] == 2 or int.from_bytes(head[18:20], "little") != layout.machine:
        raise identify.not_a_kernel(file)
    return layout


def _check_header(file: FileBytes, header: _Header, layout: _Layout) -> None:
    for version in (header.ident[6], header.version):
        if version != 1:
            raise file.fault(f"its ELF version is {version}, and there is only 1")
    if header.type in (_REL, _CORE):
        raise identify.not_a_kernel(file)
    if header.type not in (_EXEC, _DYN):
        raise file.fault(f"its ELF type is {header.type}, and a kernel's is 2 (EXEC)")
    if header.program_header_count == 0:
        raise file.fault("it has no program headers, so nothing says what to load", NOT_LINKED)
    if header.program_header_count > PROGRAM_HEADERS_MAX:
        raise file.fault(
            f"it has {header.program_header_count} program headers, and {PROGRAM_HEADERS_MAX} are the most", NOT_LINKED
        )
    native = layout.program_header.size
    if header.program_header_size != native:
        raise file.fault(f"its program headers have {header.program_header_size} bytes each instead of {native}")
    end = header.program_headers + header.program_header_count * native
    if end > file.size:
        raise file.fault(f"its program headers end at {end:#x}, but the file at {file.size:#x}")


def _program_headers(file: FileBytes, header: _Header, layout: _Layout) -> Iterator[_ProgramHeader]:
    native = layout.program_header.size
    table = file.read(header.program_headers, header.program_header_count * native)
    for number, values in enumerate(layout.program_header.iter_unpack(table)):
        yield _ProgramHeader(number=number, **dict(zip(layout.fields, values, strict=True)))


def _refuse_programs(
    file: FileBytes, header: _Header, table: list[_ProgramHeader], notes: list[_ProgramHeader]
) -> None:
    """Refuse what runs under a kernel rather than being one, and what would have to be relocated."""
    if any(entry.type == _INTERP for entry in table) or any(_says_program(file, note) for note in notes):
        raise KernelInvalid(
            f"{file.name} is no kernel: it is a program that runs under Linux (an ELF executable or library).",
            hint=identify.WHAT_A_KERNEL_IS,
        )
    if header.type == _DYN:
        raise file.fault(
            "it is position-independent (ELF type DYN), and Linux's vmlinux has a fixed address (type EXEC)",
            "Link it with `-no-pie`.",
        )


def _says_program(file: FileBytes, notes: _ProgramHeader) -> bool:
    """Whether a PT_NOTE holds the mark that the C library puts into each program: "GNU", type 1."""
    where = f"program header {notes.number} (PT_NOTE)"
    if notes.file_bytes > NOTES_BYTES_MAX:
        raise file.fault(f"{where} has {notes.file_bytes:#x} bytes of notes, and {NOTES_BYTES_MAX:#x} are the most")
    _check_in_file(file, notes, where)
    data = file.read(notes.offset, notes.file_bytes)
    unit = 8 if notes.align == 8 else 4
    at = 0
    while at + 12 <= len(data):
        name_bytes, value_bytes, kind = struct.unpack_from("<III", data, at)
        value = at + _up(12 + name_bytes, unit)
        if value + value_bytes > len(data):
            claim = f"a name of {name_bytes:#x} and a value of {value_bytes:#x} bytes"
            raise file.fault(f"the note at {at:#x} of {where} claims {claim}, more than there are")
        if data[at + 12 : at + 12 + name_bytes] == b"GNU\0" and kind == 1:
            return True
        at = value + _up(value_bytes, unit)
    return False


def _check_in_file(file: FileBytes, entry: _ProgramHeader, where: str) -> None:
    end = entry.offset + entry.file_bytes
    if end > file.size:
        raise file.fault(f"{where} ends at {end:#x}, but the file at {file.size:#x}", CUT_OFF)


def _check_load(file: FileBytes, load: _ProgramHeader, layout: _Layout) -> None:
    where = f"program header {load.number} (PT_LOAD)"
    if load.file_bytes > load.memory_bytes:
        sizes = f"{load.file_bytes:#x} bytes in the file but only {load.memory_bytes:#x} in memory"
        raise file.fault(f"{where} has {sizes}")
    _check_in_file(file, load, where)
    if load.align & (load.align - 1):
        raise file.fault(f"{where} wants an alignment of {load.align:#x}, which is no power of two")
    if load.physical < LOW_MEMORY_END:
        raise file.fault(
            f"{where} wants to lie at {load.physical:#x}, below 1 MiB, where the firmware and the loader are",
            "Link it for 1 MiB or above.",
        )
    end = load.physical + load.memory_bytes
    bits = min(layout.bits, ADDRESS_BITS_MAX)
    if end > 1 << bits:
        raise file.fault(
            f"{where} wants physical memory up to {end:#x}, and there can be none above {1 << bits:#x}",
            "Give its segments a physical address: `AT(...)` in the linker script.",
        )
    if load.virtual + load.memory_bytes > 1 << layout.bits:
        raise file.fault(f"{where} runs past the end of the {layout.bits}-bit address space, from {load.virtual:#x} on")


def _check_overlaps(file: FileBytes, loads: list[_ProgramHeader]) -> None:
    for low, high in pairwise(sorted(loads, key=lambda load: load.physical)):
        end = low.physical + low.memory_bytes
        if end > high.physical:
            places = f"{low.physical:#x} to {end:#x}, and {high.physical:#x} onwards"
            raise file.fault(
                f"program headers {low.number} and {high.number} want the same memory: {places}", NOT_LINKED
            )


def _check_entry(file: FileBytes, entry: int, loads: list[_ProgramHeader]) -> None:
    """Check that the entry is code from the file. Linux's is a physical address, unlike those of its symbols."""
    for load in loads:
        if load.physical <= entry < load.physical + load.file_bytes:
            if not load.flags & _EXECUTABLE:
                raise file.fault(
                    f"its entry {entry:#x} is in program header {load.number}, which is not executable", NOT_LINKED
                )
            return
    if any(load.virtual <= entry < load.virtual + load.file_bytes for load in loads):
        raise file.fault(
            f"its entry {entry:#x} is a virtual address, and Linux's vmlinux has a physical one",
            "In the linker script: `phys_start = start - VIRTUAL_BASE; ENTRY(phys_start)`.",
        )
    raise file.fault(f"its entry {entry:#x} lies outside of what is loaded from the file", NOT_LINKED)


def _segment(load: _ProgramHeader) -> Segment:
    return Segment(
        offset=load.offset,
        physical=load.physical,
        virtual=load.virtual,
        file_bytes=load.file_bytes,
        memory_bytes=load.memory_bytes,
        flags=load.flags,
        align=load.align,
    )


def _limits(file: FileBytes, layout: _Layout, memory: range) -> Limits:
    """Return Linux's limits: a vmlinux has no header that would tell them.

    A 64-bit kernel takes an initrd anywhere (ext_ramdisk_image), a 32-bit one where its bzImage's header would allow.
    """
    highest = (1 << ADDRESS_BITS_MAX) - 1 if layout.bits == 64 else LINUX_INITRD_ADDRESS_MAX
    return Limits(
        name=file.name,
        command_line_bytes=LINUX_COMMAND_LINE_BYTES,
        command_line_source="Linux's COMMAND_LINE_SIZE on x86 less the NUL; a vmlinux has no header that tells",
        initrd_address_max=highest,
        initrd_source="the most physical memory that an x86 CPU has"
        if layout.bits == 64
        else "initrd_addr_max of Linux on x86; a vmlinux has no header that tells",
        initrd_bytes=max(0, highest + 1 - memory.stop, memory.start - LOW_MEMORY_END),
    )


def _contents(
    header: _Header, layout: _Layout, loads: list[_ProgramHeader], notes: list[_ProgramHeader]
) -> tuple[bytes | Extent, ...]:
    """Return the compacted ELF: headers with rewritten offsets, then the runs of the file that they point to."""
    kept: list[_ProgramHeader] = []
    count = len(loads) + sum(1 for note in notes if _home(note, loads) is not None)
    position = layout.header.size + count * layout.program_header.size
    moved: dict[int, int] = {}
    for load in loads:
        moved[load.number] = position - load.offset
        kept.append(load._replace(offset=position))
        position += load.file_bytes
    for note in notes:
        home = _home(note, loads)
        if home is not None:
            kept.append(note._replace(offset=note.offset + moved[home.number]))
    new_header = header._replace(
        program_headers=layout.header.size,
        program_header_count=count,
        size=layout.header.size,
        section_headers=0,
        section_header_size=0,
        section_header_count=0,
        names=0,
    )
    rows = [layout.program_header.pack(*(getattr(entry, field) for field in layout.fields)) for entry in kept]
    extents = (Extent(load.offset, load.file_bytes) for load in loads if load.file_bytes)
    return (layout.header.pack(*new_header) + b"".join(rows), *extents)


def _home(note: _ProgramHeader, loads: list[_ProgramHeader]) -> _ProgramHeader | None:
    """Return the PT_LOAD whose bytes in the file hold those of the note."""
    for load in loads:
        if load.offset <= note.offset and note.offset + note.file_bytes <= load.offset + load.file_bytes:
            return load
    return None


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit

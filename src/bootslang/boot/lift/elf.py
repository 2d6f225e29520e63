"""The ELF format: a file's header and its program headers, in both widths, for kernels of every protocol.

`head` is the whole file, or, of a compacted ELF (docs/image-format.md), what precedes the first segment's bytes: ELF
header and program headers. Nothing in it is trusted. Runs in stage 4, and natively in tests.
"""

from typing import Final

from bootslang.boot.lift.segment import MAX_SEGMENTS, Segment
from bootslang.slang import (
    BootError,
    Struct,
    address,
    array,
    checked,
    compile_for,
    fn,
    length,
    sizeof,
    span,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

MAGIC: Final = 0x464C_457F
CLASS32: Final = 1
CLASS64: Final = 2
LITTLE_ENDIAN: Final = 1
CURRENT: Final = 1
TYPE_EXECUTABLE: Final = 2
TYPE_SHARED: Final = 3
MACHINE_I386: Final = 3
MACHINE_X86_64: Final = 0x3E
LOAD: Final = 1
NOTE: Final = 4
"""Types of program headers."""


class Identification(Struct):
    magic: u32
    file_class: u8
    data: u8
    version: u8
    abi: array[u8] = length(9)
    type: u16
    machine: u16
    file_version: u32


class Header32(Struct):
    identification: Identification
    entry: u32
    program_headers: u32
    section_headers: u32
    flags: u32
    header_size: u16
    program_header_size: u16
    program_header_count: u16
    section_header_size: u16
    section_header_count: u16
    section_names: u16


class Header64(Struct):
    identification: Identification
    entry: u64
    program_headers: u64
    section_headers: u64
    flags: u32
    header_size: u16
    program_header_size: u16
    program_header_count: u16
    section_header_size: u16
    section_header_count: u16
    section_names: u16


class ProgramHeader32(Struct):
    type: u32
    offset: u32
    virtual_address: u32
    physical_address: u32
    file_size: u32
    memory_size: u32
    flags: u32
    align: u32


class ProgramHeader64(Struct):
    type: u32
    flags: u32
    offset: u64
    virtual_address: u64
    physical_address: u64
    file_size: u64
    memory_size: u64
    align: u64


class ElfFile(Struct):
    """What the header tells."""

    bits: u32
    type: u32
    entry: u64
    count: u32
    """Of program headers, all of which lie in the head: 1 to MAX_SEGMENTS."""
    table: u64
    entry_size: u32


@fn
def has_magic(file: span[u8]) -> bool:
    """Tell whether a file begins as an ELF file does, for whatever machine."""
    return len(file) >= sizeof(Identification) and Identification.of(file).magic == MAGIC


@fn
def read_header(head: span[u8], file: ElfFile) -> None:
    """Fill `file`."""
    if len(head) < sizeof(Header64):  # an ELF32 with one program header has more, too
        raise BootError(f"the kernel is no ELF file: it has {len(head)} bytes")
    identification = Identification.of(head)
    check_identification(identification)
    file.type = identification.type
    file.bits = 64 if identification.file_class == CLASS64 else 32
    if file.bits == 64:
        header64 = Header64.of(head)
        file.entry = header64.entry
        file.table = header64.program_headers
        file.entry_size = header64.program_header_size
        file.count = header64.program_header_count
        least: usize = sizeof(ProgramHeader64)
    else:
        header32 = Header32.of(head)
        file.entry = header32.entry
        file.table = header32.program_headers
        file.entry_size = header32.program_header_size
        file.count = header32.program_header_count
        least = sizeof(ProgramHeader32)
    if file.entry_size < least:
        raise BootError(f"the kernel's program headers are {file.entry_size} bytes each: at least {least} are due")
    if not 0 < file.count <= MAX_SEGMENTS:
        raise BootError(f"the kernel has {file.count} program headers: 1 to {MAX_SEGMENTS} are handled")
    if checked(file.table + u64(file.count) * file.entry_size) > len(head):
        raise BootError(f"the kernel's program headers at {file.table:#x} lie beyond its first {len(head)} bytes")


@fn
def check_identification(found: Identification) -> None:
    if found.magic != MAGIC:
        raise BootError(f"the kernel is no ELF file: it begins with {found.magic:#010x}")
    if found.data != LITTLE_ENDIAN or found.version != CURRENT:
        raise BootError(f"the kernel is an ELF file of byte order {found.data}, version {found.version}: not for x86")
    known32 = found.file_class == CLASS32 and found.machine == MACHINE_I386
    known64 = found.file_class == CLASS64 and found.machine == MACHINE_X86_64
    if not known32 and not known64:
        raise BootError(
            f"the kernel is an ELF file of class {found.file_class} for machine {found.machine}: not for x86"
        )
    if found.type not in (TYPE_EXECUTABLE, TYPE_SHARED):
        raise BootError(f"the kernel is an ELF file of type {found.type}: not an executable")


@fn
def read_program_header(head: span[u8], file: ElfFile, index: u32, header: ProgramHeader64) -> None:
    """Read one program header, of either width, into the wide form."""
    at = usize(file.table) + usize(index) * file.entry_size
    data = head[at : at + file.entry_size]
    if file.bits == 64:
        span[u8](address(header), sizeof(ProgramHeader64))[:] = data[: sizeof(ProgramHeader64)]
        return
    narrow = ProgramHeader32.of(data)
    header.type = narrow.type
    header.flags = narrow.flags
    header.offset = narrow.offset
    header.virtual_address = narrow.virtual_address
    header.physical_address = narrow.physical_address
    header.file_size = narrow.file_size
    header.memory_size = narrow.memory_size
    header.align = narrow.align


@fn
def is_loaded(header: ProgramHeader64) -> bool:
    """Tell whether something is to be loaded for this program header."""
    return header.type == LOAD and header.file_size | header.memory_size != 0


@fn
def read_segment(header: ProgramHeader64, place: u64, head: span[u8], size: u64, segment: Segment) -> None:
    """Fill `segment` from a program header of a file of `size` bytes; `place` is the address to order segments by.

    Where the head is not the whole file, no segment has bytes of it.
    """
    if header.file_size > header.memory_size:
        raise BootError(f"the segment at {place:#x} has more bytes in the file than in memory")
    if header.file_size:
        if header.offset < len(head) and not is_whole(head, size):
            raise BootError(f"the segment at {place:#x} overlaps the kernel file's headers")
        if header.offset > size or size - header.offset < header.file_size:
            raise BootError(f"the segment at {place:#x} reaches beyond the kernel file's end")
    if header.align & (header.align - 1):
        raise BootError(f"the segment at {place:#x} has the alignment {header.align:#x}: not a power of two")
    segment.offset = header.offset
    segment.file_size = header.file_size
    segment.memory_size = header.memory_size
    segment.physical = header.physical_address
    segment.virtual = header.virtual_address
    segment.flags = header.flags
    segment.align = header.align
    segment.place = place


@fn
def is_whole(head: span[u8], size: u64) -> bool:
    """Tell whether the head is the file, as it is in memory, not what a compacted one begins with."""
    return len(head) >= size

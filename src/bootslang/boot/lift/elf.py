"""The ELF reader: what of a `vmlinux` goes where.

It sees the headers of a compacted ELF (docs/image-format.md): ELF header and program headers, then the contents of the
segments, each at the offset that its program header tells. Nothing in them is trusted. Runs in stage 4, and natively in
tests.
"""

from typing import Final

from bootslang.boot.context import BootContext
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.limits import FOUR_GIB, ONE_MIB
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import (
    BootError,
    Struct,
    array,
    checked,
    compile_for,
    fn,
    length,
    sizeof,
    span,
    text,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

MAX_SEGMENTS: Final = 64
"""Kernels have four or five."""
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
EXECUTE: Final = 1

SHIFT_STEP: Final = 0x20_0000
"""A 64-bit Linux can be moved by multiples of 2 MiB, all segments together; by anything else it dies without a word."""
SLACK: Final = 0x20_0000
"""Linux takes memory behind its last segment (brk, .init.scratch) before it knows what else is there."""


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


class Segment(Struct):
    offset: u64
    """In the file."""
    file_size: u64
    address: u64
    """Physical, before any shift."""
    memory_size: u64
    flags: u32
    align: u64


class ElfKernel(Struct):
    bits: u32
    entry: u64
    """Physical, before any shift."""
    low: u64
    high: u64
    """The span of all segments, before any shift."""
    count: u32
    segments: array[Segment] = length(MAX_SEGMENTS)
    """By ascending address, disjoint in memory and in the file, none empty."""
    shift: u64
    """What `place` has decided to add to every address: a multiple of SHIFT_STEP."""


@fn
def read_headers(headers: span[u8], size: u64, elf: ElfKernel) -> None:
    """Fill `elf` from the first bytes of a file of `size` bytes.

    `headers` holds the ELF header and the program headers, and nothing of any segment.
    """
    identification = Identification.of(headers)
    check_identification(identification)
    elf.bits = 64 if identification.file_class == CLASS64 else 32
    if elf.bits == 64:
        header64 = Header64.of(headers)
        elf.entry = header64.entry
        table = header64.program_headers
        entry_size = header64.program_header_size
        count = header64.program_header_count
        least: usize = sizeof(ProgramHeader64)
    else:
        header32 = Header32.of(headers)
        elf.entry = header32.entry
        table = u64(header32.program_headers)
        entry_size = header32.program_header_size
        count = header32.program_header_count
        least = sizeof(ProgramHeader32)
    if entry_size < least:
        raise BootError(f"the kernel's program headers are {entry_size} bytes each: at least {least} are due")
    if not 0 < count <= MAX_SEGMENTS:
        raise BootError(f"the kernel has {count} program headers: 1 to {MAX_SEGMENTS} are handled")
    if checked(table + u64(count) * entry_size) > len(headers):
        raise BootError(f"the kernel's program headers at {table:#x} lie beyond its first {len(headers)} bytes")
    elf.count = 0
    elf.shift = 0
    for index in range(count):
        at = usize(table) + index * entry_size
        segment = Segment.zeroed()
        if read_program_header(headers[at : at + entry_size], elf.bits, segment):
            check_segment(segment, len(headers), size)
            insert(elf, segment)
    check_kernel(elf)


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
    if found.type == TYPE_SHARED:
        raise BootError("the kernel is a position-independent ELF file: a vmlinux is none")
    if found.type != TYPE_EXECUTABLE:
        raise BootError(f"the kernel is an ELF file of type {found.type}: not an executable")


@fn
def read_program_header(data: span[u8], bits: u32, segment: Segment) -> bool:
    """Read one program header of either width; False if nothing is to be loaded for it."""
    if bits == 64:
        wide = ProgramHeader64.of(data)
        segment.offset = wide.offset
        segment.file_size = wide.file_size
        segment.address = wide.physical_address
        segment.memory_size = wide.memory_size
        segment.flags = wide.flags
        segment.align = wide.align
        return wide.type == LOAD and wide.file_size | wide.memory_size != 0
    narrow = ProgramHeader32.of(data)
    segment.offset = narrow.offset
    segment.file_size = narrow.file_size
    segment.address = narrow.physical_address
    segment.memory_size = narrow.memory_size
    segment.flags = narrow.flags
    segment.align = narrow.align
    return narrow.type == LOAD and narrow.file_size | narrow.memory_size != 0


@fn
def check_segment(segment: Segment, header_bytes: u64, size: u64) -> None:
    place = segment.address
    if segment.file_size > segment.memory_size:
        raise BootError(f"the segment at {place:#x} has more bytes in the file than in memory")
    if segment.file_size:
        if segment.offset < header_bytes:
            raise BootError(f"the segment at {place:#x} overlaps the kernel file's headers")
        if segment.offset > size or size - segment.offset < segment.file_size:
            raise BootError(f"the segment at {place:#x} reaches beyond the kernel file's end")
    if place < ONE_MIB:
        raise BootError(f"the segment at {place:#x} lies below 1 MiB")
    if place >= FOUR_GIB or segment.memory_size > FOUR_GIB - place:
        raise BootError(f"the segment at {place:#x} ends beyond 4 GiB")
    if segment.align & (segment.align - 1):
        raise BootError(f"the segment at {place:#x} has the alignment {segment.align:#x}: not a power of two")


@fn
def insert(elf: ElfKernel, segment: Segment) -> None:
    """Put a segment among the others, by address."""
    at = elf.count
    while at > 0 and elf.segments[at - 1].address > segment.address:
        elf.segments[at] = elf.segments[at - 1]
        at -= 1
    elf.segments[at] = segment
    elf.count += 1


@fn
def check_kernel(elf: ElfKernel) -> None:
    """What must hold of all segments together."""
    if not elf.count:
        raise BootError("the kernel has nothing to load")
    entered = False
    segments = elf.segments[: elf.count]
    for index, segment in enumerate(segments):
        for other in segments[:index]:
            if other.address + other.memory_size > segment.address:
                raise BootError(f"the segments at {other.address:#x} and {segment.address:#x} overlap")
            if share_bytes(other, segment):
                raise BootError(
                    f"the segments at {other.address:#x} and {segment.address:#x} share bytes of the kernel file"
                )
        inside = segment.address <= elf.entry < segment.address + segment.memory_size
        if inside and segment.flags & EXECUTE:
            entered = True
    if not entered:
        raise BootError(f"the kernel's entry {elf.entry:#x} lies in no executable segment")
    last = segments[len(segments) - 1]
    elf.low = segments[0].address
    elf.high = last.address + last.memory_size


@fn
def share_bytes(one: Segment, other: Segment) -> bool:
    """Tell whether two segments, each inside the file, have bytes of the file in common."""
    if not one.file_size or not other.file_size:
        return False
    return one.offset < other.offset + other.file_size and other.offset < one.offset + one.file_size


@fn
def place(elf: ElfKernel, memory: MemoryMap, context: BootContext) -> None:
    """Reserve the kernel's memory where it wants to be or, where Linux can be moved, elsewhere above that place."""
    if elf.bits == 32:
        allocator.allocate_at(memory, context, elf.low, elf.high + SLACK - elf.low, text("the kernel"))
        return
    base = elf.low // SHIFT_STEP * SHIFT_STEP
    size = elf.high + SLACK - base
    if allocator.is_free(memory, context, base, size):
        allocator.allocate_at(memory, context, base, size, text("the kernel"))
    else:
        zone = Zone(purpose=text("the kernel"), lowest=base, highest=FOUR_GIB, alignment=SHIFT_STEP)
        elf.shift = allocator.allocate(memory, context, size, zone) - base


@fn
def target_of(elf: ElfKernel, offset: u64, size: u64) -> u64:
    """Where in memory `size` bytes of the file from `offset` on go: they must lie in one segment."""
    for segment in elf.segments[: elf.count]:
        if segment.offset <= offset and offset - segment.offset < segment.file_size:
            if segment.file_size - (offset - segment.offset) < size:
                raise BootError(f"the kernel's chunk at {offset:#x} reaches beyond its segment")
            return segment.address + elf.shift + (offset - segment.offset)
    raise BootError(f"the kernel's chunk at {offset:#x} belongs to no segment")


@fn
def clear_gaps(elf: ElfKernel) -> None:
    """Zero what the kernel expects to be zero, and the gaps between its segments."""
    segments = elf.segments[: elf.count]
    for index, segment in enumerate(segments):
        start = segment.address + segment.file_size
        end = elf.high
        if index + 1 < len(segments):
            end = segments[index + 1].address
        span[u8](usize(start + elf.shift), usize(end - start)).fill(0)

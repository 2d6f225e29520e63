"""A kernel of your own: what its ELF file says, and whether that can be done. It copies nothing.

The rules are those of docs/handoff.md, "The kernel file". `read` sees the file's head: at least ELF header and program
headers. Nothing in them is trusted, and what is accepted here needs no further check of addresses and sizes. Runs in
the 64-bit stage 4, and natively in tests.
"""

from typing import Final

from bootslang.boot.lift.elf import (
    CLASS32,
    CLASS64,
    CURRENT,
    LITTLE_ENDIAN,
    LOAD,
    MACHINE_X86_64,
    MAGIC,
    TYPE_EXECUTABLE,
    TYPE_SHARED,
    Header64,
    Identification,
    ProgramHeader64,
)
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.segment import EXECUTE, WRITE, Segment
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
    u8,
    u32,
    u64,
    usize,
)

compile_for("long64")

MAX_PROGRAM_HEADERS: Final = 64
"""Kernels have up to a dozen."""
MAX_NOTES: Final = 8
"""Linkers make one PT_NOTE for each alignment."""
DYNAMIC: Final = 2
INTERPRETER: Final = 3
NOTE: Final = 4
RELRO: Final = 0x6474_E552
"""PT_GNU_RELRO: what is read-only once it is relocated."""

LOW_HALF_END: Final = 0x8000_0000_0000
HIGH_HALF: Final = 0xFFFF_8000_0000_0000
"""Four levels of page tables translate 48 bits: between the two halves lies nothing."""
LAST_PAGE: Final = 0xFFFF_FFFF_FFFF_F000
"""It stays free, so that no end of anything wraps around to 0."""
MAX_BYTES: Final = 0x4000_0000
"""1 GiB from a kernel's lowest address to its highest: it has to be one piece of memory."""
MAX_ALIGNMENT: Final = 0x20_0000
"""2 MiB: kernels move by multiples of it."""


class Range(Struct):
    """A piece of the kernel, at virtual addresses as its file has them."""

    start: u64
    size: u64


class HandoffKernel(Struct):
    type: u32
    """TYPE_EXECUTABLE or TYPE_SHARED."""
    entry: u64
    """As the next three, an address as the file has it."""
    low: u64
    """The start of the lowest page that a segment touches."""
    end: u64
    """Behind the highest byte of a segment."""
    alignment: u64
    """The largest that a segment asks for; at least a page."""
    count: u32
    segments: array[Segment] = length(MAX_PROGRAM_HEADERS)
    """By ascending virtual address, disjoint, none empty."""
    note_count: u32
    notes: array[Range] = length(MAX_NOTES)
    dynamic: Range
    relro: Range
    shift: u64
    """What is added to each address, modulo 2^64: see addresses.py."""
    place: u64
    """The physical address of `low`."""

    @fn
    def is_movable(self) -> bool:
        return self.type == TYPE_SHARED

    @fn
    def bytes_at(self, start: u64, size: u64) -> span[u8]:
        """Memory of the kernel, by its addresses in the file: a span inside one segment, or an error."""
        segment = self.segments[self.segment_at(start, size)]
        return span[u8](usize(segment.place + (start - segment.virtual)), usize(size))

    @fn
    def segment_at(self, start: u64, size: u64) -> usize:
        """Which segment holds these addresses as the file has them."""
        for index, segment in enumerate(self.segments[: self.count]):
            if contains(segment, start, size):
                return index
        raise BootError(f"the kernel refers to {size:#x} bytes at {start:#x}: no segment holds them")


@fn
def read(head: span[u8], size: u64, kernel: HandoffKernel) -> None:
    """Fill `kernel` from the first bytes of a file of `size` bytes."""
    check_identification(Identification.of(head))
    header = Header64.of(head)
    kernel.type = header.identification.type
    kernel.entry = header.entry
    step = usize(header.program_header_size)
    count = usize(header.program_header_count)
    if step < sizeof(ProgramHeader64):
        raise BootError(f"the kernel's program headers are {step} bytes each: {sizeof(ProgramHeader64)} are due")
    if not 0 < count <= MAX_PROGRAM_HEADERS:
        raise BootError(f"the kernel has {count} program headers: 1 to {MAX_PROGRAM_HEADERS} are handled")
    if checked(header.program_headers + step * count) > len(head):
        raise BootError(f"the kernel's program headers at {header.program_headers:#x} lie beyond its head")
    kernel.count = 0
    kernel.note_count = 0
    kernel.alignment = PAGE
    kernel.dynamic = Range(start=0, size=0)
    kernel.relro = Range(start=0, size=0)
    table = head[header.program_headers :]
    for index in range(count):
        take(kernel, ProgramHeader64.of(table[index * step :]), size)
    check_kernel(kernel)


@fn
def check_identification(found: Identification) -> None:
    if found.magic != MAGIC:
        raise BootError(f"the kernel is no ELF file: it begins with {found.magic:#010x}")
    if found.file_class == CLASS32:
        raise BootError("the kernel is a 32-bit ELF file: the hand-off starts 64-bit ones (ELF64)")
    if (
        found.file_class != CLASS64
        or found.data != LITTLE_ENDIAN
        or found.version != CURRENT
        or found.machine != MACHINE_X86_64
    ):
        raise BootError(
            f"the kernel is an ELF file of class {found.file_class}, byte order {found.data}, version {found.version}, "
            f"for machine {found.machine}: not for x86-64"
        )
    if found.type not in (TYPE_EXECUTABLE, TYPE_SHARED):
        raise BootError(f"the kernel is an ELF file of type {found.type}: neither ET_EXEC nor ET_DYN, so link it")


@fn
def take(kernel: HandoffKernel, header: ProgramHeader64, size: u64) -> None:
    """Note what one program header says; of most types, that is nothing."""
    piece = Range(start=header.virtual_address, size=header.memory_size)
    if header.type == LOAD and header.file_size | header.memory_size:
        check_segment(kernel, header, size)
        kernel.alignment = max(kernel.alignment, header.align)
        insert(kernel, header)
    elif header.type == DYNAMIC:
        kernel.dynamic = piece
    elif header.type == RELRO:
        kernel.relro = piece
    elif header.type == NOTE and kernel.note_count < MAX_NOTES:
        kernel.notes[kernel.note_count] = piece
        kernel.note_count += 1
    elif header.type == INTERPRETER:
        raise BootError("the kernel asks for an interpreter (PT_INTERP): link it with -static, or -static-pie")


@fn
def check_segment(kernel: HandoffKernel, header: ProgramHeader64, size: u64) -> None:
    start = header.virtual_address
    if header.file_size > header.memory_size:
        raise BootError(f"the kernel's segment at {start:#x} has more bytes in the file than in memory")
    if header.offset > size or size - header.offset < header.file_size:
        raise BootError(f"the kernel's segment at {start:#x} reaches beyond the end of its file: is the file whole?")
    if header.align & (header.align - 1) or header.align > MAX_ALIGNMENT:
        raise BootError(
            f"the kernel's segment at {start:#x} has the alignment {header.align:#x}: not a power of two up to 2 MiB"
        )
    if start > LAST_PAGE or LAST_PAGE - start < header.memory_size:
        raise BootError(f"the kernel's segment at {start:#x} reaches to the end of the address space: link it lower")
    end = start + header.memory_size
    if end > LOW_HALF_END and start < HIGH_HALF:
        raise BootError(f"the kernel's segment at {start:#x} has addresses that are not canonical (48 bits)")
    if kernel.type == TYPE_EXECUTABLE and start < PAGE:
        raise BootError(f"the kernel's segment at {start:#x} lies in the first page, which stays unmapped")


@fn
def insert(kernel: HandoffKernel, header: ProgramHeader64) -> None:
    """Put a segment among the others, by virtual address."""
    at = kernel.count
    while at > 0 and kernel.segments[at - 1].virtual > header.virtual_address:
        kernel.segments[at] = kernel.segments[at - 1]
        at -= 1
    kernel.segments[at] = Segment(
        offset=header.offset,
        file_size=header.file_size,
        memory_size=header.memory_size,
        physical=header.physical_address,
        virtual=header.virtual_address,
        flags=header.flags,
        align=header.align,
        place=0,
    )
    kernel.count += 1


@fn
def check_kernel(kernel: HandoffKernel) -> None:
    """What must hold of all segments together."""
    if not kernel.count:
        raise BootError("the kernel has nothing to load: no PT_LOAD segment")
    segments = kernel.segments[: kernel.count]
    for index in range(1, len(segments)):
        check_neighbours(segments[index - 1], segments[index])
    last = segments[len(segments) - 1]
    kernel.low = segments[0].virtual // PAGE * PAGE
    kernel.end = last.virtual + last.memory_size
    if kernel.end - kernel.low > MAX_BYTES:
        raise BootError(
            f"the kernel reaches from {kernel.low:#x} to {kernel.end:#x}, and 1 GiB is the most: "
            "give it one range of addresses (no start-up code at low ones is needed)"
        )
    if not segments[kernel.segment_at(kernel.entry, 1)].flags & EXECUTE:
        raise BootError(f"the kernel's entry {kernel.entry:#x} lies in a segment that is not executable")
    if kernel.relro.size:
        kernel.segment_at(kernel.relro.start, kernel.relro.size)


@fn
def check_neighbours(lower: Segment, upper: Segment) -> None:
    """Two segments in the order of their addresses: apart, and in pages of their own unless their rights are alike."""
    end = lower.virtual + lower.memory_size
    if end > upper.virtual:
        raise BootError(f"the kernel's segments at {lower.virtual:#x} and {upper.virtual:#x} overlap")
    if (end - 1) // PAGE == upper.virtual // PAGE and lower.flags != upper.flags:
        raise BootError(
            f"the kernel's segments at {lower.virtual:#x} and {upper.virtual:#x} have different rights and share a "
            "page: link with -z separate-code, or align them to 4096"
        )


@fn
def check_rights(kernel: HandoffKernel, allow_wx: bool) -> None:
    """Refuse segments that are writable and executable, or only name them where that is allowed."""
    for segment in kernel.segments[: kernel.count]:
        if segment.flags & (WRITE | EXECUTE) == WRITE | EXECUTE:
            if not allow_wx:
                raise BootError(
                    f"the kernel's segment at {segment.virtual:#x} is writable and executable: "
                    "separate code and data in the linker script, or build or boot with --allow-wx"
                )
            print(f"Warning: the kernel's segment at {segment.virtual:#x} is writable and executable.")


@fn
def contains(segment: Segment, start: u64, size: u64) -> bool:
    """Tell whether a segment's memory holds these addresses; no sum that could wrap."""
    if start < segment.virtual or start - segment.virtual > segment.memory_size:
        return False
    return size <= segment.memory_size - (start - segment.virtual)

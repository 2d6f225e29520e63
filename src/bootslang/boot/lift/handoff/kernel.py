"""A kernel of your own: what its ELF file says, and whether that can be done. It copies nothing.

The rules are those of docs/handoff.md, "The kernel file". `read` sees the file's head: at least ELF header and program
headers. Nothing in them is trusted, and what is accepted here needs no further check of addresses and sizes. Runs in
the 64-bit stage 4, and natively in tests.
"""

from typing import Final

from bootslang.boot.lift import elf
from bootslang.boot.lift.elf import NOTE, TYPE_EXECUTABLE, TYPE_SHARED, ElfFile, ProgramHeader64
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.segment import (
    EXECUTE,
    WRITE,
    Segment,
    Segments,
    check_overlap,
    check_shared_bytes,
    is_executable,
)
from bootslang.slang import BootError, Struct, array, compile_for, fn, length, span, u8, u32, u64, usize

compile_for("long64")

MAX_NOTES: Final = 8
"""Linkers make one PT_NOTE for each alignment."""
DYNAMIC: Final = 2
INTERPRETER: Final = 3
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


class Notes(Struct):
    """A PT_NOTE, at virtual addresses as its file has them."""

    start: u64
    size: u64
    alignment: u64


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
    segments: Segments
    """Disjoint, none empty."""
    note_count: u32
    notes: array[Notes] = length(MAX_NOTES)
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
    def move_to(self, place: u64) -> None:
        """Decide on the physical address of `low`, from which on all segments lie as their addresses tell."""
        self.place = place
        self.segments.move(place - self.low)

    @fn
    def bytes_at(self, start: u64, size: u64) -> span[u8]:
        """Memory of the kernel, by its addresses in the file: a span inside one segment, or an error."""
        segment = self.segment_at(start, size)
        return span[u8](usize(segment.place + (start - segment.virtual)), usize(size))

    @fn
    def has(self, start: u64, size: u64) -> bool:
        """Tell whether one segment holds these addresses."""
        for segment in self.segments.all():
            if contains(segment, start, size):
                return True
        return False

    @fn
    def segment_at(self, start: u64, size: u64) -> Segment:
        """The segment that holds these addresses as the file has them."""
        for segment in self.segments.all():
            if contains(segment, start, size):
                return segment
        raise BootError(f"the kernel refers to {size:#x} bytes at {start:#x}: no segment holds them")


@fn
def read(head: span[u8], size: u64, kernel: HandoffKernel) -> None:
    """Fill `kernel` from the first bytes of a file of `size` bytes."""
    file = ElfFile.zeroed()
    elf.read_header(head, file)
    if file.bits == 32:
        raise BootError("the kernel is a 32-bit ELF file: the hand-off starts 64-bit ones (ELF64)")
    kernel.type = file.type
    kernel.entry = file.entry
    kernel.alignment = PAGE
    kernel.segments.count = 0
    kernel.note_count = 0
    kernel.dynamic = Range(start=0, size=0)
    kernel.relro = Range(start=0, size=0)
    for index in range(file.count):
        header = ProgramHeader64.zeroed()
        elf.read_program_header(head, file, u32(index), header)
        if elf.is_loaded(header):
            take_segment(kernel, header, head, size)
        else:
            note(kernel, header)
    check_kernel(kernel)
    if not elf.is_whole(head, size):
        check_shared_bytes(kernel.segments.all())


@fn
def take_segment(kernel: HandoffKernel, header: ProgramHeader64, head: span[u8], size: u64) -> None:
    """Take in a segment, if its addresses are any that a kernel can have."""
    start = header.virtual_address
    segment = Segment.zeroed()
    elf.read_segment(header, start, head, size, segment)
    if segment.align > MAX_ALIGNMENT:
        raise BootError(
            f"the kernel's segment at {start:#x} has the alignment {segment.align:#x}: 2 MiB is the most, "
            "so link with -z max-page-size=4096"
        )
    if start > LAST_PAGE or LAST_PAGE - start < segment.memory_size:
        raise BootError(f"the kernel's segment at {start:#x} reaches to the end of the address space: link it lower")
    if start + segment.memory_size > LOW_HALF_END and start < HIGH_HALF:
        raise BootError(f"the kernel's segment at {start:#x} has addresses that are not canonical (48 bits)")
    if kernel.type == TYPE_EXECUTABLE and start < PAGE:
        raise BootError(f"the kernel's segment at {start:#x} lies in the first page, which stays unmapped")
    kernel.alignment = max(kernel.alignment, segment.align)
    kernel.segments.insert(segment)


@fn
def note(kernel: HandoffKernel, header: ProgramHeader64) -> None:
    """Note what another program header says; of most types, that is nothing."""
    piece = Range(start=header.virtual_address, size=header.memory_size)
    if header.type == DYNAMIC:
        kernel.dynamic = piece
    elif header.type == RELRO:
        kernel.relro = piece
    elif header.type == NOTE and kernel.note_count < MAX_NOTES and piece.size:
        kernel.notes[kernel.note_count] = Notes(start=piece.start, size=piece.size, alignment=header.align)
        kernel.note_count += 1
    elif header.type == INTERPRETER:
        raise BootError("the kernel asks for an interpreter (PT_INTERP): link it with -static, or -static-pie")


@fn
def check_kernel(kernel: HandoffKernel) -> None:
    """What must hold of all segments together."""
    segments = kernel.segments.all()
    if not segments:
        raise BootError("the kernel has nothing to load")
    check_overlap(segments)
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
    if not is_executable(segments, kernel.entry):
        raise BootError(f"the kernel's entry {kernel.entry:#x} lies in no executable segment")
    if kernel.relro.size:
        check_relro(kernel)


@fn
def check_relro(kernel: HandoffKernel) -> None:
    """PT_GNU_RELRO lies in the pages of one segment: lld up to 17 lets it reach to the end of the last one."""
    start = kernel.relro.start
    segment = kernel.segment_at(start, 1)
    end = (segment.virtual + segment.memory_size + PAGE - 1) // PAGE * PAGE
    if kernel.relro.size > end - start:
        raise BootError(f"the kernel's PT_GNU_RELRO at {start:#x} reaches beyond its segment")


@fn
def check_neighbours(lower: Segment, upper: Segment) -> None:
    """Two segments in the order of their addresses share no page, unless their rights are alike."""
    last = lower.virtual + lower.memory_size - 1
    if last // PAGE == upper.virtual // PAGE and lower.flags != upper.flags:
        raise BootError(
            f"the kernel's segments at {lower.virtual:#x} and {upper.virtual:#x} have different rights and share a "
            "page: link with -z separate-code, or align them to 4096"
        )


@fn
def check_rights(kernel: HandoffKernel, allow_wx: bool) -> None:
    """Refuse segments that are writable and executable, or only name them where that is allowed."""
    for segment in kernel.segments.all():
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

"""Linux as an ELF file: what of a `vmlinux` goes where. It goes by physical addresses; the virtual ones are Linux' own.

Nothing in the file is trusted. Runs in stage 4, and natively in tests.
"""

from typing import Final

from bootslang.boot.context import KERNEL, BootContext
from bootslang.boot.lift import allocator, elf
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.elf import ElfFile, ProgramHeader64
from bootslang.boot.lift.limits import FOUR_GIB, ONE_MIB
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.segment import Segment, Segments, check_overlap, check_shared_bytes, is_executable
from bootslang.slang import BootError, Struct, compile_for, fn, span, text, u8, u32, u64

compile_for("protected32", "long64")

SHIFT_STEP: Final = 0x20_0000
"""A 64-bit Linux can be moved by multiples of 2 MiB, all segments together; by anything else it dies without a word."""
SLACK: Final = 0x20_0000
"""Linux takes memory behind its last segment (brk, .init.scratch) before it knows what else is there."""


class Vmlinux(Struct):
    bits: u32
    entry: u64
    """Physical, as the next two; `place` moves all."""
    low: u64
    high: u64
    """The span of all segments."""
    wanted: u64
    """The lowest physical address as the file tells it."""
    segments: Segments
    """Disjoint in memory and, on a disk, in the file; none empty."""


@fn
def read_headers(head: span[u8], size: u64, kernel: Vmlinux) -> None:
    """Fill `kernel` from the head of a file of `size` bytes."""
    file = ElfFile.zeroed()
    elf.read_header(head, file)
    if file.type == elf.TYPE_SHARED:
        raise BootError("the kernel is a position-independent ELF file: a vmlinux is none")
    kernel.bits = file.bits
    kernel.entry = file.entry
    kernel.segments.count = 0
    header = ProgramHeader64.zeroed()
    segment = Segment.zeroed()
    for index in range(file.count):
        elf.read_program_header(head, file, index, header)
        if elf.is_loaded(header):
            elf.read_segment(header, header.physical_address, head, size, segment)
            check_address(segment)
            kernel.segments.insert(segment)
    check_kernel(kernel)
    if not elf.is_whole(head, size):
        check_shared_bytes(kernel.segments.all())


@fn
def check_address(segment: Segment) -> None:
    place = segment.place
    if place < ONE_MIB:
        raise BootError(f"the segment at {place:#x} lies below 1 MiB")
    if place >= FOUR_GIB or segment.memory_size > FOUR_GIB - place:
        raise BootError(f"the segment at {place:#x} ends beyond 4 GiB")


@fn
def check_kernel(kernel: Vmlinux) -> None:
    """What must hold of all segments together."""
    segments = kernel.segments.all()
    if not segments:
        raise BootError("the kernel has nothing to load")
    check_overlap(segments)
    if not is_executable(segments, kernel.entry):
        raise BootError(f"the kernel's entry {kernel.entry:#x} lies in no executable segment")
    last = segments[len(segments) - 1]
    kernel.low = segments[0].place
    kernel.high = last.place + last.memory_size
    kernel.wanted = kernel.low


@fn
def base_of(kernel: Vmlinux) -> u64:
    """Where the memory starts that the kernel takes: a 64-bit one is moved by whole steps."""
    return kernel.low if kernel.bits == 32 else kernel.low // SHIFT_STEP * SHIFT_STEP


@fn
def memory_bytes(kernel: Vmlinux) -> u64:
    """How much memory the kernel takes."""
    return kernel.high + SLACK - base_of(kernel)


@fn
def place(kernel: Vmlinux, memory: MemoryMap, context: BootContext) -> None:
    """Reserve the kernel's memory where it wants to be or, where Linux can be moved, elsewhere above that place."""
    base = base_of(kernel)
    size = memory_bytes(kernel)
    if kernel.bits == 32 or allocator.is_free(memory, context, base, size):
        allocator.allocate_at(memory, context, base, size, text("the kernel"))
        return
    zone = Zone(purpose=text("the kernel"), lowest=base, highest=FOUR_GIB, alignment=SHIFT_STEP, kind=KERNEL)
    shift = allocator.allocate(memory, context, size, zone) - base
    kernel.segments.move(shift)
    kernel.entry += shift
    kernel.low += shift
    kernel.high += shift

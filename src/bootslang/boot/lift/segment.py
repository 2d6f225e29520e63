"""Segments: the pieces of a kernel's file that go to places of their own in memory.

What reads a kernel's file fills a `Segments`; `payload.load_segments` brings the bytes there, from a disk or from
memory, whatever kind of kernel it is. 32- and 64-bit flat mode, and natively in tests.
"""

from typing import Final

from bootslang.slang import BootError, Struct, array, compile_for, fn, length, span, u8, u32, u64, usize

compile_for("protected32", "long64")

MAX_SEGMENTS: Final = 64
"""Kernels have four or five."""
EXECUTE: Final = 1
WRITE: Final = 2
READ: Final = 4
"""Bits of `Segment.flags`, as ELF has them (PF_X, PF_W, PF_R)."""


class Segment(Struct):
    offset: u64
    """In the file."""
    file_size: u64
    memory_size: u64
    """At least `file_size`; the rest is zeros."""
    physical: u64
    """Where the file says that it should lie; not every kind of kernel means it."""
    virtual: u64
    """Where the kernel sees it, as the file has it."""
    flags: u32
    align: u64
    place: u64
    """The physical address where it goes. Until that is known, the address by which the segments are ordered."""


class Segments(Struct):
    """A kernel's segments by ascending `place`."""

    count: u32
    table: array[Segment] = length(MAX_SEGMENTS)

    @fn
    def all(self) -> span[Segment]:
        return self.table[: self.count]

    @fn
    def insert(self, segment: Segment) -> None:
        """Put a segment among the others; there is room for it."""
        at = self.count
        while at > 0 and self.table[at - 1].place > segment.place:
            self.table[at] = self.table[at - 1]
            at -= 1
        self.table[at] = segment
        self.count += 1

    @fn
    def move(self, by: u64) -> None:
        """Add `by`, modulo 2^64, to every place."""
        for segment in self.all():
            segment.place += by


@fn
def check_overlap(segments: span[Segment]) -> None:
    """Refuse segments that overlap in memory; each alone is known to end below 2^64."""
    for index in range(1, len(segments)):
        one = segments[index - 1]
        if one.place + one.memory_size > segments[index].place:
            raise BootError(f"the segments at {one.place:#x} and {segments[index].place:#x} overlap")


@fn
def check_shared_bytes(segments: span[Segment]) -> None:
    """Refuse segments, each inside the file, with bytes of the file in common: a blob's bytes have one place each."""
    for index, one in enumerate(segments):
        for other in segments[:index]:
            both = one.file_size != 0 and other.file_size != 0
            if both and one.offset < other.offset + other.file_size and other.offset < one.offset + one.file_size:
                raise BootError(f"the segments at {other.place:#x} and {one.place:#x} share bytes of the kernel file")


@fn
def is_executable(segments: span[Segment], entry: u64) -> bool:
    """Tell whether `entry`, an address like their places, lies in a segment of code."""
    for segment in segments:
        if segment.place <= entry and entry - segment.place < segment.memory_size and segment.flags & EXECUTE:
            return True
    return False


@fn
def place_of(segments: span[Segment], offset: u64, size: u64) -> u64:
    """Where in memory `size` bytes of the file from `offset` on go: they must lie in one segment."""
    for segment in segments:
        if segment.offset <= offset and offset - segment.offset < segment.file_size:
            if segment.file_size - (offset - segment.offset) < size:
                raise BootError(f"the kernel's chunk at {offset:#x} reaches beyond its segment")
            return segment.place + (offset - segment.offset)
    raise BootError(f"the kernel's chunk at {offset:#x} belongs to no segment")


@fn
def clear_gaps(segments: span[Segment], end: u64) -> None:
    """Zero what no byte of the file goes to: between the segments' bytes, and behind the last up to `end`."""
    for index, segment in enumerate(segments):
        start = segment.place + segment.file_size
        stop = end
        if index + 1 < len(segments):
            stop = segments[index + 1].place
        span[u8](usize(start), usize(stop - start)).fill(0)

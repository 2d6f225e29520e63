"""What stage 4 reads from: the boot partition, through the BIOS, or a bundle in memory.

A door lends it by filling BootContext; stage 4 knows sources, never doors. Offsets count from the start of the
partition or bundle. A request is begun and then polled until it is done: each poll does one transfer, so that the
caller can show how far it is.
"""

from bootslang.boot.context import GATE_READ, SOURCE_BIOS, SOURCE_MEMORY, BootContext, GateRequest
from bootslang.boot.disk import BUNDLE_DATA_OFFSET, DATA_OFFSET
from bootslang.boot.lift.bios_gate import call_gate
from bootslang.boot.lift.manifest import DataArea
from bootslang.slang import BootError, Struct, checked, compile_for, fn, span, u8, u32, u64, usize

compile_for("protected32", "long64")


class Source(Struct):
    kind: u32
    what: span[u8]
    """What is being read, for messages."""
    size: u64
    """Bytes that can be read."""
    data: DataArea
    """Where of it the chunks are."""
    memory_base: u64

    gate: u32
    request: u32
    bounce: u32
    sector_shift: u32
    """log2 of the bytes in a sector."""
    sectors_per_call: u32
    first_lba: u64
    calls: u32
    """Transfers so far."""

    held_offset: u64
    """What the bounce buffer holds: partition offset and bytes."""
    held_size: u64
    ahead: u64
    """How far a transfer may go beyond what was asked for: nothing behind this offset is read."""

    offset: u64
    remaining: u64
    place: usize
    """The request that is under way: where it stands, what is left, where the next byte goes."""

    @fn
    def open(self, context: BootContext) -> None:
        """Begin to read from what the door has lent."""
        self.kind = context.source
        if context.source == SOURCE_MEMORY:
            self.memory_base = context.memory_base
            self.size = context.memory_size
            self.data = DataArea(start=BUNDLE_DATA_OFFSET, end=self.size)
            return
        if context.source != SOURCE_BIOS:
            raise BootError(f"stage 4 knows no source of kind {context.source}")
        self.size = context.partition_bytes
        self.data = DataArea(start=DATA_OFFSET, end=self.size)
        self.gate = context.gate
        self.request = context.gate_request
        self.bounce = context.bounce
        self.first_lba = context.partition_lba
        while (1 << self.sector_shift) < context.sector_size:
            self.sector_shift += 1
        self.sectors_per_call = min(context.sectors_per_call, context.bounce_size >> self.sector_shift)
        if context.sector_size != 1 << self.sector_shift or not self.sectors_per_call:
            raise BootError(f"sectors of {context.sector_size} bytes cannot be read")

    @fn
    def begin(self, offset: u64, size: u64, place: usize) -> None:
        """Ask for `size` bytes from `offset` on, to be written to `place`."""
        if checked(offset + size) > self.size:
            raise BootError(f"{size} bytes at {offset:#x} reach beyond the partition's end, {self.size:#x}")
        self.offset = offset
        self.remaining = size
        self.place = place

    @fn
    def poll(self) -> bool:
        """Do one transfer of the request under way; True when it is complete."""
        if self.remaining:
            if self.kind == SOURCE_MEMORY:
                self.take(self.memory_base + self.offset, self.remaining)
            else:
                if not self.held_offset <= self.offset < self.held_offset + self.held_size:
                    self.fill_bounce()
                skip = self.offset - self.held_offset
                self.take(self.bounce + skip, min(self.held_size - skip, self.remaining))
        return not self.remaining

    @fn
    def read(self, offset: u64, size: u64, place: usize) -> None:
        """Read at once."""
        self.begin(offset, size, place)
        while not self.poll():
            pass

    @fn
    def read_ahead(self, end: u64) -> None:
        """Say that all up to the offset `end` will be wanted, in order: transfers may then be as large as they can."""
        self.ahead = min(end, self.size)

    @fn
    def can_view(self) -> bool:
        """Tell whether `view` works: what is in memory needs no copy."""
        return self.kind == SOURCE_MEMORY

    @fn
    def view(self, offset: u64, size: u64) -> span[u8]:
        """See `size` bytes from `offset` on where they are."""
        if checked(offset + size) > self.size:
            raise BootError(f"{size} bytes at {offset:#x} reach beyond the payload's end, {self.size:#x}")
        return span[u8](usize(self.memory_base + offset), usize(size))

    @fn
    def take(self, place: u64, size: u64) -> None:
        """Copy the next `size` bytes of the request from `place`."""
        count = usize(size)
        span[u8](self.place, count)[:] = span[u8](usize(place), count)
        self.offset += size
        self.remaining -= size
        self.place += count

    @fn
    def fill_bounce(self) -> None:
        """Let the BIOS read from the request's next byte on: as many sectors as are wanted and as one call takes.

        Of a transfer that fails, what precedes the bad sector counts: what follows may not be wanted at all.
        """
        first = self.offset >> self.sector_shift
        wanted = max(self.offset + self.remaining, self.ahead)
        behind = (wanted + (u64(1) << self.sector_shift) - 1) >> self.sector_shift
        count = min(behind - first, self.sectors_per_call)
        self.held_size = 0
        lba = self.first_lba + first
        request = GateRequest.at(self.request)
        request.interrupt = GATE_READ
        request.ecx = u32(count)
        request.esi = u32(lba)
        request.edi = u32(lba >> 32)
        call_gate(self.gate, self.request)
        self.calls += 1
        if request.flags & 1 and not request.ecx:
            error = request.eax & 0xFF
            raise BootError(f"{self.what}: sector {lba} of the boot disk cannot be read (BIOS error {error:#04x})")
        self.held_offset = first << self.sector_shift
        self.held_size = u64(request.ecx) << self.sector_shift

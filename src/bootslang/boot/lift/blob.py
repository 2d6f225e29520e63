"""Blobs: the kernel, the initrds and the command line, read chunk by chunk.

A chunk's packed bytes are read, summed, and only then unpacked, straight to their final place. Memory for packed bytes
and for the codec is taken when the first packed chunk comes, and given back by `release_staging`.
"""

from bootslang.boot.codecs import registry
from bootslang.boot.context import SPENT_CHECKING, SPENT_READING, SPENT_UNPACKING, BootContext
from bootslang.boot.disk import ALIGNMENT, CHUNK_BYTES, CODEC_NONE, BlobRecord, ChunkRecord
from bootslang.boot.lib import progress
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.limits import FOUR_GIB, ONE_MIB, PAGE
from bootslang.boot.lift.manifest import check_table, table_bytes
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.source import Source
from bootslang.boot.lift.stopwatch import now, spend
from bootslang.slang import BootError, Struct, compile_for, fn, span, text, u8, u64, usize

compile_for("protected32", "long64")


class Reader(Struct):
    """Reads blobs from a source, one at a time."""

    source: Source
    name: span[u8]
    """Of the open blob, for messages."""
    chunks: span[ChunkRecord]
    """Its chunk table, checked."""
    staging: span[u8]
    """Memory for unpacking: what the codec works in, then the packed bytes of one chunk; empty if none is taken."""

    @fn
    def open(self, record: BlobRecord, name: span[u8], memory: MemoryMap, context: BootContext) -> None:
        """Read and check the chunk table of a blob that is not empty; `close` gives its memory back."""
        self.name = name
        self.source.what = name
        size = table_bytes(record)
        table = span[u8](usize(allocate(text("a table of chunks"), size, memory, context)), usize(size))
        self.source.read(record.table, size, table.address)
        self.chunks = check_table(record, table, self.source.data)
        self.source.read_ahead(end_if_contiguous(self.chunks))

    @fn
    def close(self, context: BootContext) -> None:
        allocator.release(context, self.chunks.address)

    @fn
    def read_all(self, place: u64, memory: MemoryMap, context: BootContext) -> None:
        """Read the whole blob to `place`, where there is room for it."""
        for index, chunk in enumerate(self.chunks):
            self.read_chunk(index, place, memory, context)
            place += chunk.unpacked

    @fn
    def read_chunk(self, index: usize, place: u64, memory: MemoryMap, context: BootContext) -> None:
        """Read a chunk, check it, and unpack it to `place`, where its unpacked bytes have room."""
        chunk = self.chunks[index]
        out = span[u8](usize(place), chunk.unpacked)
        if chunk.codec == CODEC_NONE and not self.source.can_view():
            self.fetch(chunk, out, context)
            self.check(index, out, context)
            return
        codec = registry.find(chunk.codec)
        if self.source.can_view():
            self.reserve_staging(codec.work_bytes, memory, context)
            packed = self.source.view(chunk.offset, chunk.packed)
            progress.advance(chunk.unpacked)
        else:
            self.reserve_staging(codec.work_bytes + CHUNK_BYTES, memory, context)
            packed = self.staging[codec.work_bytes :][: chunk.packed]
            self.fetch(chunk, packed, context)
        self.check(index, packed, context)
        start = now(context)
        codec.decode(packed, out, self.staging[: codec.work_bytes])
        spend(context, SPENT_UNPACKING, start)

    @fn
    def fetch(self, chunk: ChunkRecord, into: span[u8], context: BootContext) -> None:
        """Read a chunk's packed bytes; the progress bar counts in unpacked ones."""
        start = now(context)
        self.source.begin(chunk.offset, chunk.packed, into.address)
        done = False
        while not done:
            left = self.source.remaining
            done = self.source.poll()
            progress.advance((left - self.source.remaining) * chunk.unpacked // chunk.packed)
        spend(context, SPENT_READING, start)

    @fn
    def check(self, index: usize, packed: span[u8], context: BootContext) -> None:
        start = now(context)
        if xxh64(packed) != self.chunks[index].checksum:
            raise BootError(f"{self.name}: chunk {index} of {len(self.chunks)} is damaged (its checksum is wrong)")
        spend(context, SPENT_CHECKING, start)

    @fn
    def reserve_staging(self, size: u64, memory: MemoryMap, context: BootContext) -> None:
        """Make sure of `size` bytes of staging memory."""
        if len(self.staging) < size:
            self.release_staging(context)
            self.staging = span[u8](usize(allocate(text("unpacking"), size, memory, context)), usize(size))

    @fn
    def release_staging(self, context: BootContext) -> None:
        """Give the staging memory back."""
        if self.staging:
            allocator.release(context, self.staging.address)
            self.staging = text("")


@fn
def allocate(purpose: span[u8], size: u64, memory: MemoryMap, context: BootContext) -> u64:
    """Take memory that this CPU's code can write in either width, outside all that the payload needs."""
    zone = Zone(purpose=purpose, lowest=ONE_MIB, highest=FOUR_GIB, alignment=PAGE)
    return allocator.allocate(memory, context, size, zone)


@fn
def end_if_contiguous(chunks: span[ChunkRecord]) -> u64:
    """Where the last chunk ends, if each follows the one before without a gap; else 0."""
    end = chunks[0].offset
    for chunk in chunks:
        if chunk.offset != (end + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT:
            return 0
        end = chunk.offset + chunk.packed
    return end

"""What is booted: a kernel, its modules and its command line, whatever they come from.

They are blobs of a manifest (on a disk, or in a bundle in memory), or files in memory as the loader before us put them
there, or both: modules beside a bundle are further modules. `find` finds them; who starts the kernel asks for its head,
decides on places, and has the bytes brought there. Kernels are started by `linux.py` and by `handoff/`.
"""

from typing import Final

from bootslang.boot.context import (
    FLAG_ALLOW_WX,
    FLAG_RANDOMISE,
    MAX_MODULES,
    SOURCE_BIOS,
    SOURCE_MEMORY,
    SOURCE_NONE,
    BootContext,
    MemoryRange,
)
from bootslang.boot.disk import (
    BLOB_ALLOW_WX,
    BLOB_RANDOMISE,
    COMMAND_LINE,
    INITRD,
    MANIFEST_MAGIC,
    MANIFEST_OFFSET,
    MANIFEST_SLOT_BYTES,
    MAX_BLOBS,
    BlobRecord,
    Manifest,
)
from bootslang.boot.lib import console, progress
from bootslang.boot.lift import allocator, blob, modules, paging
from bootslang.boot.lift.blob import Reader
from bootslang.boot.lift.kind import kind_of
from bootslang.boot.lift.manifest import check_only, choose, is_kernel
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.segment import Segment, place_of
from bootslang.slang import (
    BootError,
    Struct,
    address,
    array,
    compile_for,
    fn,
    length,
    sizeof,
    span,
    target,
    text,
    u8,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

MAX_PARTS: Final = MAX_BLOBS + MAX_MODULES
MAX_HEAD_BYTES: Final = 0x2_0000
"""A kernel blob's first chunk: an ELF's headers or a bzImage's setup part, which 255 + 1 sectors bound."""


class Part(Struct):
    """One of the things that are booted."""

    kind: u32
    """KERNEL_ELF, KERNEL_BZIMAGE, KERNEL_HANDOFF, INITRD (which is any module of a kernel) or COMMAND_LINE."""
    flags: u32
    """BLOB_ bits."""
    name: span[u8]
    """The text that came with a file in memory, or the name that a blob has on the disk."""
    size: u64
    """Exact, unpacked."""
    address: u64
    """Where it is, if it is a file in memory; else 0."""
    record: u64
    """Where its BlobRecord is, if it is a blob; else 0."""
    checksum: u64
    """XXH64 of the unpacked whole; 0 if it is not known."""


class Payload(Struct):
    count: u32
    parts: array[Part] = length(MAX_PARTS)
    """The kernel, then its modules in their order."""
    line: Part
    """The command line; its size is 0 if there is none."""


payload: Payload = Payload.zeroed()
reader: Reader = Reader.zeroed()
manifest_slots: array[u8] = array[u8](2 * MANIFEST_SLOT_BYTES)


@fn
def find(memory: MemoryMap, context: BootContext) -> None:
    """Find out what there is to boot."""
    payload.count = 1
    payload.line = Part.zeroed()
    if context.source == SOURCE_BIOS:
        reader.source.open(context)
        take_manifest(choose(read_slot(0), read_slot(1), reader.source.data))
    elif target.bits == 64:
        open_in_memory(memory, context)


@fn
def kernel() -> Part:
    return payload.parts[0]


@fn
def further() -> span[Part]:
    """The modules of the kernel, in their order: for Linux, its initrds."""
    return payload.parts[1 : payload.count]


@fn
def command_line() -> Part:
    return payload.line


@fn
def total_bytes() -> u64:
    """All that is to be loaded, unpacked."""
    total = payload.line.size
    for part in payload.parts[: payload.count]:
        total += part.size
    return total


@fn
def read_slot(index: usize) -> span[u8]:
    """A manifest slot's bytes; none, and a line that says why, if the disk does not give them.

    The other slot may do.
    """
    start = index * MANIFEST_SLOT_BYTES
    slot = manifest_slots[start : start + MANIFEST_SLOT_BYTES]
    reader.source.what = text("manifest")
    try:
        reader.source.read(MANIFEST_OFFSET + start, MANIFEST_SLOT_BYTES, slot.address)
    except BootError as error:
        print(f"{error.message}")
        return slot[:0]
    return slot


@fn
def take_manifest(manifest: Manifest) -> None:
    """Enter the blobs of a manifest, which is believed."""
    if console.verbose:
        print(f"manifest: generation {manifest.sequence}, {manifest.blob_count} blobs")
    for record in manifest.blobs[: manifest.blob_count]:
        part = entry_for(record.kind)
        part.kind = record.kind
        part.flags = record.flags
        part.name = name_of(record)
        part.size = record.size
        part.address = 0
        part.record = address(record)
        part.checksum = record.checksum


@fn
def name_of(record: BlobRecord) -> span[u8]:
    """A blob's name, without the zeros behind it."""
    for index, byte in enumerate(record.name):
        if not byte:
            return record.name[:index]
    return record.name


@fn
def entry_for(kind: u32) -> Part:
    """Where a part of this kind is entered."""
    if kind == COMMAND_LINE:
        return payload.line
    if is_kernel(kind):
        return payload.parts[0]
    payload.count += 1
    return payload.parts[payload.count - 1]


@fn
def open_in_memory(memory: MemoryMap, context: BootContext) -> None:
    """A bundle that was sealed in, or the first module; what modules there are beside it; a line for the kernel."""
    files: usize = 0
    if context.source == SOURCE_NONE:
        files = 1
        open_first_module(memory, context)
    else:
        open_bundle(context)
    for module in context.modules[files : context.module_count]:
        enter_file(INITRD, module.base, module.size, module.text, module.text_size)
    if context.command_line_size:
        line = span[u8](usize(context.command_line), usize(context.command_line_size))
        if payload.line.size:
            print(f"the kernel has a command line already, so this one is passed over: {line}")
        else:
            enter_file(COMMAND_LINE, context.command_line, context.command_line_size, 0, 0)


@fn
def open_first_module(memory: MemoryMap, context: BootContext) -> None:
    """The kernel, or a bundle with all in it; its text is the kernel's command line."""
    if not context.module_count:
        raise BootError("there is nothing to boot: give the loader a kernel, or a bundle, as its first module")
    first = context.modules[0]
    if not first.size:
        raise BootError("the first module is empty: it has to be a kernel, or a bundle")
    paging.cover(first.base, first.size, memory, context)
    file = span[u8](usize(first.base), usize(first.size))
    if len(file) >= sizeof(Manifest) and Manifest.of(file).magic == MANIFEST_MAGIC:
        context.source = SOURCE_MEMORY
        context.memory_base = first.base
        context.memory_size = first.size
        open_bundle(context)
    else:
        enter_file(kind_of(file, context.protocol), first.base, first.size, first.text, first.text_size)
        if context.flags & FLAG_ALLOW_WX:
            payload.parts[0].flags |= BLOB_ALLOW_WX
        if context.flags & FLAG_RANDOMISE:
            payload.parts[0].flags |= BLOB_RANDOMISE
    if first.text_size:
        enter_file(COMMAND_LINE, first.text, first.text_size, 0, 0)


@fn
def open_bundle(context: BootContext) -> None:
    reader.source.open(context)
    slot = manifest_slots[:MANIFEST_SLOT_BYTES]
    reader.source.read(0, MANIFEST_SLOT_BYTES, slot.address)
    take_manifest(check_only(slot, reader.source.data))


@fn
def enter_file(kind: u32, place: u64, size: u64, name: u64, name_size: u64) -> None:
    """Enter a file in memory."""
    if size and not place:
        raise BootError(f"a module of {size} bytes at address 0 cannot be")
    part = entry_for(kind)
    part.kind = kind
    part.flags = 0
    part.name = span[u8](usize(name), usize(name_size))
    part.size = size
    part.address = place
    part.record = 0
    part.checksum = 0


@fn
def is_file(part: Part) -> bool:
    """Tell whether a part is a file in memory, and no blob; in 32 bits all are blobs."""
    if target.bits == 64:
        return not part.record
    return False


@fn
def make_room(base: u64, size: u64, memory: MemoryMap, context: BootContext) -> None:
    """Move what lies in the `size` bytes at `base`, which the kernel wants to have and no other will do."""
    way = MemoryRange(base=base, size=size, kind=0)
    for part in payload.parts[: payload.count]:
        if is_file(part):
            part.address = modules.move_out_of(way, part.address, part.size, memory, context)
    if context.source == SOURCE_MEMORY:
        source = reader.source
        source.memory_base = modules.move_out_of(way, source.memory_base, source.size, memory, context)


@fn
def kernel_head(memory: MemoryMap, context: BootContext) -> span[u8]:
    """What tells all about the kernel: its file, if that is in memory, else the first chunk.

    Has to be given back by `release_head`, and then stands no longer. `load_segments` comes after that.
    """
    part = kernel()
    if is_file(part):
        return span[u8](usize(part.address), usize(part.size))
    reader.open(BlobRecord.at(usize(part.record)), text("kernel"), memory, context)
    size = usize(reader.chunks[0].unpacked)
    if size > MAX_HEAD_BYTES:
        raise BootError(f"the kernel's first chunk has {size} bytes: {MAX_HEAD_BYTES} are handled")
    place = blob.allocate(text("the kernel's first chunk"), size, memory, context)
    reader.read_chunk(0, place, memory, context)
    return span[u8](usize(place), size)


@fn
def release_head(head: span[u8], context: BootContext) -> None:
    """Give back the memory that `kernel_head` has taken."""
    if not is_file(kernel()):
        allocator.release(context, head.address)
        reader.release_staging(context)


@fn
def load_segments(segments: span[Segment], memory: MemoryMap, context: BootContext) -> None:
    """Bring the bytes of the kernel's file to their places; what no byte of the file goes to is left as it is."""
    part = kernel()
    if is_file(part):
        for segment in segments:
            modules.copy(part.address + segment.offset, segment.file_size, segment.place, memory, context)
        progress.advance(part.size)
        return
    offset: u64 = reader.chunks[0].unpacked
    for index in range(1, len(reader.chunks)):
        size = reader.chunks[index].unpacked
        reader.read_chunk(index, place_of(segments, offset, size), memory, context)
        offset += size
    reader.close(context)


@fn
def load(part: Part, place: u64, memory: MemoryMap, context: BootContext) -> None:
    """Bring all bytes of a part to `place`, where there is room for it; a file that is there already stays.

    The memory that a file was in is free again.
    """
    if is_file(part):
        if part.address != place:
            modules.copy(part.address, part.size, place, memory, context)
            modules.forget(part.address, part.size, context)
        progress.advance(part.size)
    elif part.size:
        name = text("command line") if part.kind == COMMAND_LINE else text("initrd")
        reader.open(BlobRecord.at(usize(part.record)), name, memory, context)
        reader.read_all(place, memory, context)
        reader.close(context)

"""Stage 4, the lift: read what the disk boots, check it, put it where it belongs, hand the machine over.

`entry32.py` or `entry64.py` enters `main` with the BootContext that a door has filled; all that happens from here on is
the same for every door and for both widths. Nothing goes back.
"""

from typing import Final, NoReturn

from bootslang.boot.context import DOOR_BIOS, FLAG_VERBOSE, BootContext, MemoryRange
from bootslang.boot.disk import (
    COMMAND_LINE,
    INITRD,
    KERNEL_BZIMAGE,
    KERNEL_ELF,
    MANIFEST_OFFSET,
    MANIFEST_SLOT_BYTES,
    BlobRecord,
    Manifest,
)
from bootslang.boot.lib import console, progress
from bootslang.boot.lib.bios_data import bios_data
from bootslang.boot.lift import (
    allocator,
    blob,
    bzimage,
    exceptions,
    handover,
    initrd,
    kernel,
    paging,
    random_seed,
    zero_page,
)
from bootslang.boot.lift.blob import Reader
from bootslang.boot.lift.kernel import Kernel
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.manifest import choose
from bootslang.boot.lift.memory_map import MemoryMap, normalise
from bootslang.boot.lift.stopwatch import stamp
from bootslang.boot.lift.zero_page import ScreenInfo, ZeroPage
from bootslang.slang import (
    BootError,
    address,
    array,
    compile_for,
    fn,
    sizeof,
    span,
    target,
    text,
    u8,
    u64,
    usize,
)

compile_for("protected32", "long64")

STAMP_LIFT: Final = 4
STAMP_KERNEL: Final = 5
"""Indices of BootContext.stamps."""
LEAST_COMMAND_LINE_ROOM: Final = 2048
"""Linux copies so many bytes, however short the line is."""

memory: MemoryMap = MemoryMap.zeroed()
reader: Reader = Reader.zeroed()
payload: Kernel = Kernel.zeroed()
manifest_slots: array[u8] = array[u8](2 * MANIFEST_SLOT_BYTES)


@fn
def main(context_address: usize) -> NoReturn:
    """Boot what the manifest names."""
    context = BootContext.at(context_address)
    stamp(context, STAMP_LIFT)
    console.start(context.log, context.flags & FLAG_VERBOSE != 0)
    if target.bits == 64 and not target.host:
        exceptions.install(0, with_stacks=False)
    normalise(context, memory)
    reader.source.open(context)
    manifest = read_manifest()
    progress.start(payload_bytes(manifest))
    read_kernel_head(kernel_record(manifest), context)

    kernel.place(payload, memory, context)  # the kernel first: it is the most particular
    initrd_size = initrd.total_bytes(manifest)
    initrd_place = place_initrd(initrd_size, context)
    line_place = place_command_line(manifest, context)
    page = make_zero_page(context)
    zero_page.set_initrd(page, initrd_place, initrd_size)
    zero_page.set_command_line(page, line_place)
    if console.verbose:
        print(f"kernel for {kernel.start_of(payload):#x}, {initrd_size} bytes of initrd for {initrd_place:#x}")
        print(f"zero page at {address(page):#x}, command line at {line_place:#x}")

    load_kernel(context)
    load_initrds(manifest, initrd_place, context)
    load_command_line(manifest, line_place, context)
    progress.finish()
    if console.verbose:
        print(f"command line: {span[u8](usize(line_place), usize(command_line_bytes(manifest)))}")
    hand_over(page, context)


@fn
def read_manifest() -> Manifest:
    """The newer generation that is whole."""
    reader.source.what = text("manifest")
    manifest = choose(read_manifest_slot(0), read_manifest_slot(1), reader.source.size)
    if console.verbose:
        print(f"manifest: generation {manifest.sequence}, {manifest.blob_count} blobs")
    return manifest


@fn
def read_manifest_slot(index: usize) -> span[u8]:
    """A slot's bytes; none, and a line that says why, if the disk does not give them: the other slot may do."""
    start = index * MANIFEST_SLOT_BYTES
    slot = manifest_slots[start : start + MANIFEST_SLOT_BYTES]
    try:
        reader.source.read(MANIFEST_OFFSET + start, MANIFEST_SLOT_BYTES, slot.address)
    except BootError as error:
        print(f"{error.message}")
        return slot[:0]
    return slot


@fn
def read_kernel_head(record: BlobRecord, context: BootContext) -> None:
    """Read the kernel's first chunk, which tells all about it, and give the memory for that back."""
    reader.open(record, text("kernel"), memory, context)
    size = usize(reader.chunks[0].unpacked)
    if size > kernel.MAX_HEAD_BYTES:
        raise BootError(f"the kernel's first chunk has {size} bytes: {kernel.MAX_HEAD_BYTES} are handled")
    place = blob.allocate(text("the kernel's first chunk"), size, memory, context)
    reader.read_chunk(0, place, memory, context)
    head = span[u8](usize(place), size)
    kernel.read_head(payload, record.kind, head, record.size)
    kernel.check_cpu(payload)
    announce(record, head)
    allocator.release(context, place)
    reader.release_staging(context)


@fn
def kernel_record(manifest: Manifest) -> BlobRecord:
    for record in manifest.blobs[: manifest.blob_count]:
        if record.kind in (KERNEL_ELF, KERNEL_BZIMAGE):
            return record
    raise BootError("the manifest names no kernel")


@fn
def announce(record: BlobRecord, head: span[u8]) -> None:
    """Say what is being booted: the one line of a quiet boot."""
    mib = record.size + 0x8_0000 >> 20
    if record.kind == KERNEL_ELF:
        print(f"Bootslang: booting an ELF{payload.elf.bits} kernel of {mib} MiB")
    else:
        name = bzimage.name_of(head, payload.image.header)
        print(f"Bootslang: booting Linux {name} ({mib} MiB)")


@fn
def place_initrd(size: u64, context: BootContext) -> u64:
    """Reserve the initrds' memory; 0 if there is none."""
    if not size:
        return 0
    may_lie_high = target.bits == 64 and kernel.initrd_may_lie_high(payload)
    place = initrd.place(size, kernel.initrd_limit(payload), may_lie_high, memory, context)
    paging.cover(place, size, memory, context)
    return place


@fn
def make_zero_page(context: BootContext) -> ZeroPage:
    """Write the zero page, and behind it what its list of setup data holds."""
    ranges = memory.ranges[: memory.count]
    extra = len(ranges) - min(len(ranges), zero_page.MAX_E820)
    extra_bytes = extra * sizeof(MemoryRange)
    room = zero_page.setup_data_bytes(random_seed.SEED_BYTES) + zero_page.setup_data_bytes(extra_bytes)
    place = usize(blob.allocate(text("the zero page"), PAGE + room, memory, context))
    span[u8](place, PAGE + room).fill(0)
    page = ZeroPage.at(place)
    zero_page.fill(page, context)
    kernel.fill_header(payload, page)
    zero_page.set_memory_map(page, ranges)
    if kernel.takes_setup_data(payload):
        add_setup_data(page, span[u8](place + PAGE, room), ranges[len(ranges) - extra :])
    return page


@fn
def add_setup_data(page: ZeroPage, room: span[u8], extra: span[MemoryRange]) -> None:
    """The memory ranges that the page has no room for, and a seed for the kernel's random numbers."""
    if extra:
        extra_bytes = len(extra) * sizeof(MemoryRange)
        zero_page.add_setup_data(page, room, zero_page.SETUP_E820_EXT, extra_bytes).cast(MemoryRange)[:] = extra
        room = room[zero_page.setup_data_bytes(extra_bytes) :]
    seed = array[u8](random_seed.SEED_BYTES)
    if random_seed.cpu_has_generator() and random_seed.fill_random(seed):
        zero_page.add_setup_data(page, room, zero_page.SETUP_RNG_SEED, len(seed))[:] = seed


@fn
def place_command_line(manifest: Manifest, context: BootContext) -> u64:
    """Reserve and clear what the command line and the zero behind it take; without one, the line is empty."""
    size = command_line_bytes(manifest)
    limit = kernel.command_line_limit(payload)
    if size > limit:
        raise BootError(f"the command line has {size} characters, and this kernel takes {limit}")
    room = max(size + 1, LEAST_COMMAND_LINE_ROOM)
    place = blob.allocate(text("the command line"), room, memory, context)
    span[u8](usize(place), usize(room)).fill(0)
    return place


@fn
def command_line_bytes(manifest: Manifest) -> u64:
    for record in manifest.blobs[: manifest.blob_count]:
        if record.kind == COMMAND_LINE:
            return record.size
    return 0


@fn
def payload_bytes(manifest: Manifest) -> u64:
    """All that is to be loaded, unpacked."""
    total: u64 = 0
    for record in manifest.blobs[: manifest.blob_count]:
        total += record.size
    return total


@fn
def load_kernel(context: BootContext) -> None:
    """Read the rest of the kernel, whose table is still open, each chunk to its final place."""
    offset: u64 = reader.chunks[0].unpacked
    for index in range(1, len(reader.chunks)):
        size = reader.chunks[index].unpacked
        reader.read_chunk(index, kernel.target_of(payload, offset, size), memory, context)
        offset += size
    reader.close(context)
    kernel.finish(payload)


@fn
def load_initrds(manifest: Manifest, place: u64, context: BootContext) -> None:
    """Put the initrds one behind the other from `place` on."""
    total: u64 = 0
    for record in manifest.blobs[: manifest.blob_count]:
        if record.kind == INITRD and record.size:
            start = initrd.start_of_next(total)
            span[u8](usize(place + total), usize(start - total)).fill(0)
            load_blob(record, text("initrd"), place + start, context)
            total = start + record.size


@fn
def load_command_line(manifest: Manifest, place: u64, context: BootContext) -> None:
    for record in manifest.blobs[: manifest.blob_count]:
        if record.kind == COMMAND_LINE and record.size:
            load_blob(record, text("command line"), place, context)


@fn
def load_blob(record: BlobRecord, name: span[u8], place: u64, context: BootContext) -> None:
    """Read a whole blob to `place`, where there is room for it."""
    reader.open(record, name, memory, context)
    reader.read_all(place, memory, context)
    reader.close(context)


@fn
def hand_over(page: ZeroPage, context: BootContext) -> NoReturn:
    """Note the time, tell it, and start the kernel."""
    entry = kernel.entry_of(payload)
    stamp(context, STAMP_KERNEL)
    if console.verbose:
        print(f"{reader.source.calls} transfers from the disk")
        for stage in range(2, STAMP_KERNEL):
            print(f"stage {stage} began at {context.stamps[stage]}, by the time stamp counter")
        print(f"entering the kernel at {entry:#x} at {context.stamps[STAMP_KERNEL]}")
    if context.door == DOOR_BIOS:
        tell_cursor(page.screen)
    handover.enter(entry, address(page), kernel.is_entered_in_long_mode(payload))


@fn
def tell_cursor(screen: ScreenInfo) -> None:
    """Let the kernel's first line stand below our last one."""
    cursor = bios_data().cursor
    screen.cursor_column = u8(cursor)
    screen.cursor_row = u8(cursor >> 8)

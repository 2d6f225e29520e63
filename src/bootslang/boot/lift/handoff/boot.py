"""The hand-off: start a kernel of your own by docs/handoff.md, from whatever it and its modules come from.

`lift/main.py` calls `boot` in long mode, all memory below 4 GiB mapped to itself; it does not return. What is taken
here for good says by its kind whose it is, and the kernel's memory map is made of that.
"""

from typing import NoReturn

from bootslang.boot.context import KERNEL, LOADER, MODULE, BootContext
from bootslang.boot.disk import BLOB_ALLOW_WX, BLOB_RANDOMISE
from bootslang.boot.handoff import VERSION, BootInformation, ModuleInformation
from bootslang.boot.lib import console, progress
from bootslang.boot.lib.image import image_start
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.boot.lift import allocator, exceptions, paging, payload, random_seed
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.handoff import (
    addresses,
    enter,
    information,
    machine,
    relocations,
)
from bootslang.boot.lift.handoff import (
    kernel as reader,
)
from bootslang.boot.lift.handoff import (
    window as windows,
)
from bootslang.boot.lift.handoff.addresses import AddressSpace
from bootslang.boot.lift.handoff.information import Room
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.boot.lift.handoff.note import NO_NOTE, version_in
from bootslang.boot.lift.handoff.tables import DATA_RIGHTS, LEVEL1, LEVEL2, LEVEL3, PageTables, map_kernel, tables_for
from bootslang.boot.lift.handoff.window import Window
from bootslang.boot.lift.limits import ADDRESS_END, FOUR_GIB, ONE_MIB, PAGE
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.paging import LARGE_PAGE_BYTES
from bootslang.boot.lift.payload import Part
from bootslang.boot.lift.segment import clear_gaps
from bootslang.boot.lift.stopwatch import STAMP_KERNEL, stamp
from bootslang.slang import BootError, array, compile_for, fn, read_tsc, sizeof, span, text, u8, u64, usize

compile_for("long64")

kernel: HandoffKernel = HandoffKernel.zeroed()
space: AddressSpace = AddressSpace.zeroed()
tables: PageTables = PageTables.zeroed()
window: Window = Window.zeroed()
room: Room = Room.zeroed()


@fn
def boot(memory: MemoryMap, context: BootContext) -> NoReturn:
    """Start the payload's kernel by the hand-off protocol."""
    machine.require_nx()
    read_kernel(memory, context)
    place_kernel(memory, context)  # the kernel first: it wants the largest piece
    load_kernel(memory, context)
    load_modules(memory, context)
    map_all(memory, context)
    told = write_information(memory, context)
    progress.finish()
    start(told, context)


@fn
def read_kernel(memory: MemoryMap, context: BootContext) -> None:
    """Read what tells all about the kernel, and say what is being booted."""
    part = payload.kernel()
    head = payload.kernel_head(memory, context)
    reader.read(head, part.size, kernel)
    payload.release_head(head, context)
    print(f"Bootslang: booting a 64-bit kernel of {(part.size + 1023) // 1024} KiB")
    reader.check_rights(kernel, part.flags & BLOB_ALLOW_WX != 0)


@fn
def place_kernel(memory: MemoryMap, context: BootContext) -> None:
    """Take memory for the kernel, and decide on its addresses.

    If large pages are of any use to it, its physical and its virtual addresses are alike modulo 2 MiB.
    """
    size = whole_pages(kernel.end - kernel.low)
    skew: u64 = 0
    alignment: u64 = PAGE
    if size >= LARGE_PAGE_BYTES or kernel.alignment >= LARGE_PAGE_BYTES:
        skew = kernel.low % LARGE_PAGE_BYTES
        alignment = LARGE_PAGE_BYTES
    zone = Zone(purpose=text("the kernel"), lowest=ONE_MIB, highest=FOUR_GIB, alignment=alignment, kind=KERNEL)
    place = take(size + skew, zone, memory, context)
    if skew:
        allocator.release(context, place)
        allocator.reserve(context, place + skew, size, KERNEL)
    kernel.move_to(place + skew)
    randomise = payload.kernel().flags & BLOB_RANDOMISE != 0
    kernel.shift = addresses.kernel_shift(kernel, randomise, random_number() if randomise else u64(0))


@fn
def random_number() -> u64:
    """A number that nobody foresees, where the CPU makes some; else what the time stamp counter says."""
    number: u64 = read_tsc()
    seed = array[u8](sizeof(u64))
    if random_seed.cpu_has_generator() and random_seed.fill_random(seed):
        number = seed.cast(u64)[0]
    return number


@fn
def load_kernel(memory: MemoryMap, context: BootContext) -> None:
    """Bring the kernel's bytes to their places, clear the rest, put its addresses right."""
    segments = kernel.segments.all()
    first = usize(segments[0].place)
    span[u8](usize(kernel.place), first - usize(kernel.place)).fill(0)
    clear_gaps(segments, kernel.place + whole_pages(kernel.end - kernel.low))
    payload.load_segments(segments, memory, context)
    check_version()
    relocations.apply(kernel)


@fn
def check_version() -> None:
    """Refuse a loaded kernel whose note asks for another version of the protocol; a note is no must."""
    for piece in kernel.notes[: kernel.note_count]:
        if not kernel.has(piece.start, piece.size):
            continue  # it is in the file alone
        version = version_in(kernel.bytes_at(piece.start, piece.size), piece.alignment)
        if version not in (NO_NOTE, VERSION):
            raise BootError(
                f"the kernel speaks version {version} of the hand-off protocol, and this loader version {VERSION}: "
                "build it with the header of this Bootslang, or take the Bootslang of its version"
            )


@fn
def load_modules(memory: MemoryMap, context: BootContext) -> None:
    """Bring each module to whole pages of its own, and make sure of its sum."""
    for part in payload.further():
        place = place_module(part, memory, context)
        payload.load(part, place, memory, context)
        part.address = place
        if not part.checksum:
            paging.cover(place, part.size, memory, context)
            part.checksum = xxh64(span[u8](usize(place), usize(part.size)))


@fn
def place_module(part: Part, memory: MemoryMap, context: BootContext) -> u64:
    """Where a module goes: one that lies at the start of a page stays where it is."""
    if not part.size or (payload.is_file(part) and part.address % PAGE == 0):
        return part.address
    zone = Zone(purpose=text("a module"), lowest=ONE_MIB, highest=FOUR_GIB, alignment=PAGE, kind=MODULE)
    return take(part.size, zone, memory, context)


@fn
def map_all(memory: MemoryMap, context: BootContext) -> None:
    """Make the kernel's address space: the kernel, the direct map, the window."""
    shown = addresses.direct_map_bytes(memory, context.framebuffer.base + context.framebuffer.size)
    addresses.lay_out(space, kernel, shown)
    allocator.reserve(context, image_start(), windows.image_bytes(), LOADER)
    zone = Zone(purpose=text("the stacks"), lowest=ONE_MIB, highest=FOUR_GIB, alignment=PAGE, kind=LOADER)
    stacks = take(windows.ALL_STACKS_BYTES, zone, memory, context)
    begin_tables(memory, context)
    map_kernel(tables, kernel)
    tables.map(space.direct_map, 0, shown, DATA_RIGHTS)
    window.base = space.window
    windows.map_window(window, tables, stacks)
    allocator.release(context, tables.root)  # what no table has become of goes back
    allocator.reserve(context, tables.root, tables.next - tables.root, LOADER)


@fn
def begin_tables(memory: MemoryMap, context: BootContext) -> None:
    """Take memory for as many page tables as there can be: below 4 GiB, where processors that wake up reach them."""
    huge = machine.has_huge_pages()
    count = (
        1
        + tables_for(space.kernel, whole_pages(kernel.end - kernel.low), LEVEL1)
        + tables_for(space.direct_map, space.direct_map_bytes, LEVEL3 if huge else LEVEL2)
        + tables_for(space.window, addresses.WINDOW_BYTES, LEVEL1)
    )
    zone = Zone(purpose=text("page tables"), lowest=ONE_MIB, highest=FOUR_GIB, alignment=PAGE, kind=LOADER)
    tables.start(allocator.allocate(memory, context, count * PAGE, zone), count * PAGE, huge)


@fn
def write_information(memory: MemoryMap, context: BootContext) -> BootInformation:
    """Write the boot information; the last that takes memory."""
    parts = payload.further()
    line = payload.command_line()
    texts = line.size
    for part in parts:
        texts += len(part.name)
    size = information.bytes_needed(texts, len(parts), memory, context)
    purpose = text("the boot information")
    zone = Zone(purpose=purpose, lowest=ONE_MIB, highest=FOUR_GIB, alignment=PAGE, kind=LOADER)
    place = take(size, zone, memory, context)
    room.memory = span[u8](usize(place), usize(whole_pages(size)))
    room.memory.fill(0)
    room.used = 0
    room.distance = space.direct_map
    told = information.begin(room, context, len(parts))
    copy = room.take(usize(line.size) + information.END_BYTES)
    payload.load(line, copy.address, memory, context)
    told.command_line = room.seen(copy)
    told.command_line_size = line.size
    write_modules(parts, span[ModuleInformation](usize(told.modules - room.distance), len(parts)))
    told.direct_map = space.direct_map
    told.direct_map_size = space.direct_map_bytes
    told.kernel_physical = kernel.place
    told.kernel_virtual = space.kernel
    told.kernel_size = kernel.end - kernel.low
    told.kernel_shift = kernel.shift
    told.window = space.window
    told.window_size = addresses.WINDOW_BYTES
    told.page_table = tables.root
    information.finish(room, told, memory, context)
    return told


@fn
def write_modules(parts: span[Part], into: span[ModuleInformation]) -> None:
    for index, part in enumerate(parts):
        into[index] = ModuleInformation(
            physical=part.address,
            size=part.size,
            address=space.direct_map + part.address,
            name=room.write(part.name),
            name_size=len(part.name),
            checksum=part.checksum,
        )


@fn
def start(told: BootInformation, context: BootContext) -> NoReturn:
    """Note the time, tell it, and start the kernel."""
    departure = enter.departure
    departure.entry = kernel.entry + kernel.shift
    departure.information = room.seen(room.memory)
    departure.stack_top = window.stack_top
    departure.direct_map = space.direct_map
    departure.root = tables.root
    exceptions.kernel.start = space.kernel
    exceptions.kernel.end = space.kernel_end
    exceptions.kernel.shift = kernel.shift
    if console.verbose:
        print(f"kernel at {kernel.place:#x}, seen at {space.kernel:#x}, entry {departure.entry:#x}")
        print(f"page tables at {tables.root:#x}, direct map at {space.direct_map:#x}, window at {space.window:#x}")
        print(f"boot information of {told.size} bytes at {told.physical:#x}: {told.memory_count} memory regions")
    stamp(context, STAMP_KERNEL)
    told.stamps[:] = context.stamps
    enter.enter(window)


@fn
def take(size: u64, zone: Zone, memory: MemoryMap, context: BootContext) -> u64:
    """Take whole pages for good: in the zone if there is room, else anywhere; visible at their own addresses."""
    size = whole_pages(size)
    if allocator.find(memory, context, size, zone) == allocator.NOWHERE:
        zone.highest = ADDRESS_END
        if allocator.find(memory, context, size, zone) == allocator.NOWHERE:
            zone.alignment = PAGE
    place = allocator.allocate(memory, context, size, zone)
    paging.cover(place, size, memory, context)
    return place


@fn
def whole_pages(size: u64) -> u64:
    return (size + PAGE - 1) // PAGE * PAGE

"""Linux: place it, its initrds and its command line, write the zero page, load all, start it.

The payload comes from a disk or from memory; the kernel is a bzImage or a vmlinux of 32 or 64 bits. `main.py` calls
`boot`, which does not return.
"""

from typing import Final, NoReturn

from bootslang.boot.context import LOG_SCREEN, BootContext, MemoryRange
from bootslang.boot.disk import KERNEL_ELF
from bootslang.boot.lib import console, progress
from bootslang.boot.lib.bios_data import bios_data
from bootslang.boot.lift import (
    blob,
    bzimage,
    handover,
    initrd,
    kernel,
    paging,
    payload,
    random_seed,
    zero_page,
)
from bootslang.boot.lift.kernel import Kernel
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.stopwatch import STAMP_KERNEL, stamp
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

RSDP_BYTES: Final = 36
"""Of ACPI's root pointer, the newer form."""
LEAST_COMMAND_LINE_ROOM: Final = 2048
"""Linux copies so many bytes, however short the line is."""

linux: Kernel = Kernel.zeroed()


@fn
def boot(memory: MemoryMap, context: BootContext) -> NoReturn:
    """Start the payload's kernel as Linux."""
    read_kernel(memory, context)

    place_kernel(memory, context)  # the kernel first: it is the most particular
    initrd_size = initrd.total_bytes(payload.further())
    initrd_place = place_initrds(initrd_size, memory, context)
    line_place = place_command_line(memory, context)
    page = make_zero_page(memory, context)
    zero_page.set_initrd(page, initrd_place, initrd_size)
    zero_page.set_command_line(page, line_place)
    if console.verbose:
        print(f"kernel for {kernel.start_of(linux):#x}, {initrd_size} bytes of initrd for {initrd_place:#x}")
        print(f"zero page at {address(page):#x}, command line at {line_place:#x}")

    payload.load_segments(kernel.segments(linux), memory, context)
    kernel.finish(linux)
    load_initrds(initrd_place, memory, context)
    payload.load(payload.command_line(), line_place, memory, context)
    progress.finish()
    if console.verbose:
        print(f"command line: {span[u8](usize(line_place), usize(payload.command_line().size))}")
    start(page, context)


@fn
def read_kernel(memory: MemoryMap, context: BootContext) -> None:
    """Read what tells all about the kernel, and say what is being booted."""
    part = payload.kernel()
    head = payload.kernel_head(memory, context)
    kernel.read_head(linux, part.kind, head, part.size)
    kernel.check_cpu(linux)
    announce(head, part.size)
    payload.release_head(head, context)


@fn
def announce(head: span[u8], size: u64) -> None:
    """Say what is being booted: the one line of a quiet boot."""
    mib = size + 0x8_0000 >> 20
    if linux.kind == KERNEL_ELF:
        print(f"Bootslang: booting an ELF{linux.vmlinux.bits} kernel of {mib} MiB")
    else:
        name = bzimage.name_of(head, linux.image.header)
        print(f"Bootslang: booting Linux {name} ({mib} MiB)")


@fn
def place_kernel(memory: MemoryMap, context: BootContext) -> None:
    """Reserve the kernel's memory; what came with it and lies where alone it can be is moved out of its way."""
    if target.bits == 64 and kernel.is_fixed(linux):
        payload.make_room(kernel.fixed_place(linux), kernel.memory_bytes(linux), memory, context)
    kernel.place(linux, memory, context)


@fn
def place_initrds(size: u64, memory: MemoryMap, context: BootContext) -> u64:
    """Reserve the initrds' memory, unless there is but one, and it lies well; 0 if there is none."""
    if not size:
        return 0
    limit = kernel.initrd_limit(linux)
    may_lie_high = target.bits == 64 and kernel.initrd_may_lie_high(linux)
    if target.bits == 64:
        place = initrd.place_as_it_is(payload.further(), limit, may_lie_high)
        if place:
            return place
    place = initrd.place(size, limit, may_lie_high, memory, context)
    paging.cover(place, size, memory, context)
    return place


@fn
def place_command_line(memory: MemoryMap, context: BootContext) -> u64:
    """Reserve and clear what the command line and the zero behind it take; without one, the line is empty."""
    size = payload.command_line().size
    limit = kernel.command_line_limit(linux)
    if size > limit:
        raise BootError(f"the command line has {size} characters, and this kernel takes {limit}")
    room = max(size + 1, LEAST_COMMAND_LINE_ROOM)
    place = blob.allocate(text("the command line"), room, memory, context)
    span[u8](usize(place), usize(room)).fill(0)
    return place


@fn
def make_zero_page(memory: MemoryMap, context: BootContext) -> ZeroPage:
    """Write the zero page, and behind it what its list of setup data holds."""
    ranges = memory.ranges[: memory.count]
    extra = len(ranges) - min(len(ranges), zero_page.MAX_E820)
    extra_bytes = extra * sizeof(MemoryRange)
    room = zero_page.setup_data_bytes(random_seed.SEED_BYTES) + zero_page.setup_data_bytes(extra_bytes)
    rsdp_room = zero_page.setup_data_bytes(RSDP_BYTES)
    place = usize(blob.allocate(text("the zero page"), PAGE + rsdp_room + room, memory, context))
    span[u8](place, PAGE + rsdp_room + room).fill(0)
    page = ZeroPage.at(place)
    zero_page.fill(page, context)
    kernel.fill_header(linux, page)
    zero_page.set_memory_map(page, ranges)
    if kernel.takes_setup_data(linux):
        keep_rsdp(page, span[u8](place + PAGE, rsdp_room), context)
        add_setup_data(page, span[u8](place + PAGE + rsdp_room, room), ranges[len(ranges) - extra :])
    return page


@fn
def keep_rsdp(page: ZeroPage, room: span[u8], context: BootContext) -> None:
    """Put a root pointer that is a copy in the loader's memory, which Linux takes for free, where Linux spares it."""
    if context.loader_base <= context.rsdp < context.loader_base + context.loader_size:
        kept = zero_page.add_setup_data(page, room, zero_page.SETUP_NONE, RSDP_BYTES)
        kept[:] = span[u8](usize(context.rsdp), RSDP_BYTES)
        page.acpi_rsdp = kept.address


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
def load_initrds(place: u64, memory: MemoryMap, context: BootContext) -> None:
    """Put the initrds one behind the other from `place` on."""
    total: u64 = 0
    for part in payload.further():
        if part.size:
            start = initrd.start_of_next(total)
            span[u8](usize(place + total), usize(start - total)).fill(0)
            payload.load(part, place + start, memory, context)
            total = start + part.size


@fn
def start(page: ZeroPage, context: BootContext) -> NoReturn:
    """Note the time, tell it, and start the kernel."""
    entry = kernel.entry_of(linux)
    stamp(context, STAMP_KERNEL)
    if console.verbose:
        if payload.reader.source.calls:
            print(f"{payload.reader.source.calls} transfers from the disk")
        for stage in range(2, STAMP_KERNEL):
            if context.stamps[stage]:
                print(f"stage {stage} began at {context.stamps[stage]}, by the time stamp counter")
        print(f"entering the kernel at {entry:#x} at {context.stamps[STAMP_KERNEL]}")
    if context.log & LOG_SCREEN:
        tell_cursor(page.screen)
    handover.enter(entry, address(page), kernel.is_entered_in_long_mode(linux))


@fn
def tell_cursor(screen: ScreenInfo) -> None:
    """Let the kernel's first line stand below our last one."""
    cursor = bios_data().cursor
    screen.cursor_column = u8(cursor)
    screen.cursor_row = u8(cursor >> 8)

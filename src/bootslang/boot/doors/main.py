"""Which door it was: what the loader before us has told becomes a BootContext, and the lift takes over.

`entry` calls `main` in long mode on the loader's stack, the first 4 GiB mapped to themselves, interrupts off. Nothing
of what is read here is believed: the doors check every pointer that they follow.
"""

from typing import Final, NoReturn

from bootslang.boot.context import (
    CONTEXT_MAGIC,
    CONTEXT_VERSION,
    FLAG_LONG_MODE,
    FLAG_TSC,
    FLAG_VERBOSE,
    LOADER,
    LOG_DEBUGCON,
    LOG_SERIAL,
    SOURCE_MEMORY,
    SOURCE_NONE,
    SPENT_MEMORY,
    BootContext,
)
from bootslang.boot.doors import firmware, options
from bootslang.boot.doors.workspace import TABLES_BYTES, workspace
from bootslang.boot.lib import console
from bootslang.boot.lib.image import bss_end, image_start
from bootslang.boot.lift import allocator, exceptions
from bootslang.boot.lift import main as lift
from bootslang.boot.lift.handoff.information import door_name
from bootslang.boot.lift.stopwatch import stamp
from bootslang.boot.multiboot import multiboot1, multiboot2
from bootslang.boot.pvh import start_info
from bootslang.slang import BootError, Struct, address, compile_for, fn, placed, sizeof, span, u8, u32, u64, usize

compile_for("long64")

MULTIBOOT1_START: Final = 0x2BAD_B002
MULTIBOOT2_START: Final = 0x36D7_6289
"""What EAX holds: Multiboot 0.6.96, 3.2; Multiboot 2.0, 3.3.2."""
PVH_START: Final = 0x336E_C578
"""PVH says nothing in EAX: `entry` puts the magic of its start info there."""
STAMP_DOOR: Final = 2
"""Of BootContext.stamps: when the loader began, as stage 2 does on a BIOS disk."""


class Sealed(Struct):
    """What the host writes into a loader that has its payload sealed in."""

    size: u64
    """Of the bundle behind the loader's memory, in bytes; 0: there is none."""


sealed: Sealed = placed(".header", Sealed.zeroed())
context: BootContext = BootContext.zeroed()


@fn
def main(start: u32, information: u32) -> NoReturn:
    """Fill the context, and let the lift boot what it names."""
    begin()
    stamp(context, STAMP_DOOR)
    console.start(context.log, False)
    exceptions.install(0, with_stacks=False)
    reserve_own_memory()
    take_sealed_payload()
    find_screen(start, information)
    console.start(context.log, False)  # on the screen too, if a BIOS has left one
    gather(start, information)
    options.read(span[u8](usize(context.command_line), usize(context.command_line_size)), context)
    console.start(context.log, context.flags & FLAG_VERBOSE != 0)
    tell()
    firmware.find_tables(context)  # ACPI and SMBIOS, where nobody has told them
    lift.main(address(context))


@fn
def begin() -> None:
    """Set what every door says alike. A CPU with long mode has a time stamp counter."""
    context.magic = CONTEXT_MAGIC
    context.version = CONTEXT_VERSION
    context.size = sizeof(BootContext)
    context.flags = FLAG_TSC | FLAG_LONG_MODE
    context.log = LOG_SERIAL | LOG_DEBUGCON
    context.page_tables = u32(address(workspace.tables))
    context.page_tables_end = context.page_tables + TABLES_BYTES


@fn
def reserve_own_memory() -> None:
    context.loader_base = image_start()
    context.loader_size = bss_end() - image_start()
    allocator.reserve(context, context.loader_base, context.loader_size, LOADER)


@fn
def take_sealed_payload() -> None:
    """A sealed payload lies behind .bss, where the ELF file's last segment put it."""
    context.source = SOURCE_NONE
    if sealed.size:
        context.source = SOURCE_MEMORY
        context.memory_base = bss_end()
        context.memory_size = sealed.size
        allocator.reserve(context, context.memory_base, context.memory_size, SPENT_MEMORY)


@fn
def find_screen(start: u32, information: u32) -> None:
    """Let the door see what screen there is, for whatever goes wrong from here on; PVH tells none."""
    if start == MULTIBOOT1_START:
        multiboot1.find_screen(information, context)
    elif start == MULTIBOOT2_START:
        multiboot2.find_screen(information, context)


@fn
def gather(start: u32, information: u32) -> None:
    """Let the door that we came through read what it was told."""
    if start == MULTIBOOT1_START:
        multiboot1.gather(information, context)
    elif start == MULTIBOOT2_START:
        multiboot2.gather(information, context)
    elif start == PVH_START:
        start_info.gather(information, context)
    else:
        raise BootError(f"Bootslang was entered by none of its doors: EAX is {start:#x}, which is no Multiboot")


@fn
def tell() -> None:
    """Say what has been handed over, if all steps are to be told."""
    if not console.verbose:
        return
    print(f"{door_name(context)}: {context.memory_count} lines of memory map, {context.module_count} modules")
    if context.efi_system_table:
        print(f"UEFI's system table at {context.efi_system_table:#x}, {context.efi_map_size} bytes of memory map")
    frame = context.framebuffer
    if frame.base:
        print(f"framebuffer {frame.width}x{frame.height}x{frame.depth} at {frame.base:#x}")

"""The boot information: one piece of memory with all that a kernel of your own learns (boot/handoff.py).

The struct comes first, then the modules' table, the texts, and the memory map, written last of all, since it accounts
for this piece of memory too. Pointers are addresses in the direct map; the caller fills in what it alone knows.
"""

from typing import Final

from bootslang.boot import version
from bootslang.boot.context import DOOR_BIOS, DOOR_MULTIBOOT1, DOOR_MULTIBOOT2, BootContext, Framebuffer
from bootslang.boot.handoff import (
    MAGIC,
    VERSION,
    BootInformation,
    FramebufferInformation,
    MemoryRegion,
    ModuleInformation,
)
from bootslang.boot.lift.handoff.regions import most_regions, write_regions
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import Struct, array, compile_for, fn, sizeof, span, text, u8, u64, usize

compile_for("long64")

LOADER_NAME: Final = array[u8](f"Bootslang {version.VERSION}".encode())
ALIGNMENT: Final = 8
"""Of every table."""
END_BYTES: Final = 1
"""The zero behind a text."""


class Room(Struct):
    """Memory that is given out piece by piece."""

    memory: span[u8]
    used: usize
    distance: u64
    """From where the memory is written to where the kernel sees it, modulo 2^64."""

    @fn
    def take(self, size: usize) -> span[u8]:
        """The next `size` bytes."""
        start = (self.used + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        self.used = start + size
        return self.memory[start : start + size]

    @fn
    def seen(self, part: span[u8]) -> u64:
        """Where the kernel sees a piece."""
        return part.address + self.distance

    @fn
    def write(self, content: span[u8]) -> u64:
        """Copy a text and end it by a zero; return where the kernel sees it."""
        place = self.take(len(content) + END_BYTES)
        place[: len(content)] = content
        place[len(content)] = 0
        return self.seen(place)


@fn
def bytes_needed(texts: u64, modules: u64, memory: MemoryMap, context: BootContext) -> u64:
    """How much memory is enough.

    texts: what the command line and all names of modules have together, without their ends. One reservation, for this
    memory itself, may still come.
    """
    texts += len(LOADER_NAME) + len(door_name(context)) + (modules + 3) * (END_BYTES + ALIGNMENT)
    regions = most_regions(memory, context) + 2
    return (
        sizeof(BootInformation)
        + modules * sizeof(ModuleInformation)
        + regions * sizeof(MemoryRegion)
        + texts
        + 2 * ALIGNMENT
    )


@fn
def begin(room: Room, context: BootContext, modules: usize) -> BootInformation:
    """Write all that the door has told; leave room for the command line, the modules and the memory map."""
    information = BootInformation.of(room.take(sizeof(BootInformation)))
    information.magic = MAGIC
    information.version = VERSION
    information.door = context.door
    information.physical = room.memory.address
    table = room.take(modules * sizeof(ModuleInformation))
    information.modules = room.seen(table)
    information.module_count = modules
    information.loader_name = room.write(LOADER_NAME)
    information.loader_name_size = len(LOADER_NAME)
    door = door_name(context)
    information.door_name = room.write(door)
    information.door_name_size = len(door)
    fill_framebuffer(information.framebuffer, context.framebuffer)
    information.rsdp = context.rsdp
    information.smbios = context.smbios
    information.smbios3 = context.smbios3
    information.efi_system_table = context.efi_system_table
    return information


@fn
def finish(room: Room, information: BootInformation, memory: MemoryMap, context: BootContext) -> None:
    """Write the memory map; nothing may be reserved or released afterwards."""
    regions = usize(most_regions(memory, context)) * sizeof(MemoryRegion)
    table = room.take(regions)
    count = write_regions(memory, context, table.cast(MemoryRegion))
    room.used -= regions - count * sizeof(MemoryRegion)
    information.memory = room.seen(table)
    information.memory_count = count
    information.size = room.used


@fn
def door_name(context: BootContext) -> span[u8]:
    """What started the loader, by its own name where it has told one."""
    if context.loader_name_size:
        return span[u8](usize(context.loader_name), usize(context.loader_name_size))
    if context.door == DOOR_BIOS:
        return text("BIOS")
    if context.door == DOOR_MULTIBOOT1:
        return text("Multiboot 1")
    return text("Multiboot 2") if context.door == DOOR_MULTIBOOT2 else text("PVH")


@fn
def fill_framebuffer(into: FramebufferInformation, found: Framebuffer) -> None:
    into.physical = found.base
    into.size = found.size
    into.pitch = found.pitch
    into.width = found.width
    into.height = found.height
    into.depth = found.depth
    into.red_position = found.red_position
    into.red_size = found.red_size
    into.green_position = found.green_position
    into.green_size = found.green_size
    into.blue_position = found.blue_position
    into.blue_size = found.blue_size

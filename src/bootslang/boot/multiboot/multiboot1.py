"""Multiboot 1: what GRUB's `multiboot` and QEMU's `-kernel` hand over becomes a BootContext.

The loader's main calls `find_screen`, then `gather`, in 64-bit mode, the first 4 GiB mapped; natively in tests. The
information is a struct whose flags say which of its fields hold anything, and whose fields point to whatever else there
is: each pointer goes through `reach`, each text is kept. Source: Multiboot Specification 0.6.96, section 3.3.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import DOOR_MULTIBOOT1, MAX_MODULES, BootContext
from bootslang.boot.doors import reach
from bootslang.boot.doors.intake import add_memory, add_module, require_memory, set_command_line, set_loader_name
from bootslang.boot.lib.texts import starts_with, trimmed, without_first_word
from bootslang.boot.multiboot import screen
from bootslang.boot.multiboot.screen import Colours, Screen
from bootslang.slang import BootError, Struct, at, compile_for, fn, sizeof, span, text, u8, u32, u64, usize

compile_for("long64")

HAS_MEMORY: Final = 1 << 0
HAS_COMMAND_LINE: Final = 1 << 2
HAS_MODULES: Final = 1 << 3
HAS_MEMORY_MAP: Final = 1 << 6
HAS_LOADER_NAME: Final = 1 << 9
HAS_APM: Final = 1 << 10
HAS_FRAMEBUFFER: Final = 1 << 12

SCREEN: Final = 88
"""Where a Screen stands, and Colours behind it."""

MAX_MAP_BYTES: Final = 0x1_0000
"""Of the memory map: ten times what 255 lines have."""
LEAST_LINE_BYTES: Final = 20
"""A line's base, size and kind; more may follow."""


class Information(Struct):
    """The fields that are read; there are more behind them."""

    flags: u32
    memory_lower: u32
    """KiB from 0 on."""
    memory_upper: u32
    """KiB from 1 MiB on, up to the first gap."""
    command_line: u32 = at(0x10)
    module_count: u32
    modules: u32
    map_bytes: u32 = at(0x2C)
    map: u32
    loader_name: u32 = at(0x40)
    apm: u32


class ModuleEntry(Struct):
    start: u32
    end: u32
    text: u32
    reserved: u32


class Line(Struct):
    """A line of the memory map."""

    size: u32
    """Of what follows this field."""
    base: u64
    bytes: u64
    kind: u32


@fn
def find_screen(information_address: usize, context: BootContext) -> None:
    """Enter the screen that is told, else the one that a BIOS leaves."""
    if information_at(information_address).flags & HAS_FRAMEBUFFER:
        there = view_information(information_address + SCREEN, sizeof(Screen) + sizeof(Colours))
        screen.take(context, Screen.of(there), there[sizeof(Screen) :])
    else:
        screen.take_text(context, screen.COLUMNS, screen.ROWS)


@fn
def gather(information_address: usize, context: BootContext) -> None:
    """Enter all that a loader has told by Multiboot 1."""
    context.door = DOOR_MULTIBOOT1
    information = information_at(information_address)
    name = text("")
    if information.flags & HAS_LOADER_NAME and information.loader_name != 0:
        name = reach.text_at(text("Multiboot 1, loader's name"), information.loader_name)
    set_loader_name(context, name)
    has_file_names = not starts_with(name, text("GRUB "))
    if information.flags & HAS_COMMAND_LINE and information.command_line != 0:
        line = reach.text_at(text("Multiboot 1, command line"), information.command_line)
        set_command_line(context, own_part(line, has_file_names))
    if information.flags & HAS_MEMORY:
        context.alt_mem_k = information.memory_upper
    if information.flags & HAS_MEMORY_MAP:
        read_map(context, information)
    require_memory(context)
    if information.flags & HAS_MODULES:
        read_modules(context, information, has_file_names)
    if information.flags & HAS_APM and information.apm != 0:
        context.apm[:] = reach.view(text("Multiboot 1, APM table"), information.apm, len(context.apm))


@fn
def information_at(place: usize) -> Information:
    return Information.of(view_information(place, sizeof(Information)))


@fn
def view_information(place: u64, size: u64) -> span[u8]:
    return reach.view(text("Multiboot 1, information"), place, size)


@fn
def own_part(line: span[u8], has_file_name: bool) -> span[u8]:
    """The text without the file's name, with which QEMU, GRUB Legacy and SYSLINUX begin it, and GRUB 2 does not."""
    line = trimmed(line)
    return without_first_word(line) if has_file_name else line


@fn
def read_map(context: BootContext, information: Information) -> None:
    """Enter the lines of the memory map, each of which says how long it is."""
    if information.map_bytes > MAX_MAP_BYTES:
        raise BootError(f"Multiboot 1: a memory map of {information.map_bytes} bytes, more than {MAX_MAP_BYTES}")
    rest = reach.view(text("Multiboot 1, memory map"), information.map, information.map_bytes)
    while rest:
        if len(rest) < sizeof(Line):
            raise BootError(f"Multiboot 1: the memory map ends with {len(rest)} bytes that are no line")
        line = Line.of(rest)
        if line.size < LEAST_LINE_BYTES or line.size > len(rest) - sizeof(u32):
            raise BootError(f"Multiboot 1: the memory map has a line of {line.size} bytes")
        add_memory(context, line.base, line.bytes, line.kind)
        rest = rest[sizeof(u32) + line.size :]


@fn
def read_modules(context: BootContext, information: Information, has_file_names: bool) -> None:
    """Enter the modules."""
    if information.module_count > MAX_MODULES:
        raise BootError(f"Multiboot 1: {information.module_count} modules, more than {MAX_MODULES}")
    size = information.module_count * sizeof(ModuleEntry)
    if size == 0:
        return
    table = reach.view(text("Multiboot 1, modules"), information.modules, size)
    for entry in table.cast(ModuleEntry):
        if entry.end < entry.start:
            raise BootError(f"Multiboot 1: a module ends at {entry.end:#x}, before its start at {entry.start:#x}")
        line = text("")
        if entry.text != 0:
            line = reach.text_at(text("Multiboot 1, module's text"), entry.text)
        add_module(context, entry.start, entry.end - entry.start, own_part(line, has_file_names))

"""PVH: what QEMU, Xen and cloud-hypervisor hand over becomes a BootContext.

The loader's main calls `gather` once, in 64-bit mode, the first 4 GiB mapped; natively in tests. The start info points
to whatever else there is: each pointer goes through `reach`, each text is kept; 0 means that there is none. Source:
Xen, xen/include/public/arch-x86/hvm/start_info.h.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import DOOR_PVH, MAX_MODULES, BootContext
from bootslang.boot.doors import reach
from bootslang.boot.doors.intake import add_memory, add_module, require_memory, set_command_line
from bootslang.boot.lib.texts import trimmed
from bootslang.slang import BootError, Struct, compile_for, fn, sizeof, span, text, u8, u32, u64, usize

compile_for("long64")

MAGIC: Final = 0x336E_C578
"""Its letters are "xEn3", the "E" with bit 7 set."""
FIRST_WITH_MAP: Final = 1
"""Version 0 had no memory map: a guest had to ask the hypervisor."""
MAX_MAP_LINES: Final = 4096
"""A thousand times what a machine monitor tells."""


class StartInfo(Struct):
    """Version 1; later ones only add to it."""

    magic: u32
    version: u32
    flags: u32
    module_count: u32
    modules: u64
    command_line: u64
    rsdp: u64
    map: u64
    map_lines: u32
    reserved: u32


class ModuleEntry(Struct):
    base: u64
    size: u64
    text: u64
    reserved: u64


class Line(Struct):
    """A line of the memory map, its kind numbered as E820 does."""

    base: u64
    size: u64
    kind: u32
    reserved: u32


@fn
def gather(start_info_address: usize, context: BootContext) -> None:
    """Enter all that a machine monitor has told."""
    context.door = DOOR_PVH
    info = StartInfo.of(reach.view(text("PVH, start info"), start_info_address, sizeof(StartInfo)))
    if info.magic != MAGIC:
        raise BootError(
            f"PVH: the start info at {start_info_address:#x} begins with {info.magic:#010x}, not {MAGIC:#x}"
        )
    if info.version < FIRST_WITH_MAP:
        raise BootError("PVH: the start info is of version 0, which has no memory map")
    context.rsdp = info.rsdp
    if info.command_line != 0:
        set_command_line(context, trimmed(reach.text_at(text("PVH, command line"), info.command_line)))
    read_map(context, info)
    require_memory(context)
    read_modules(context, info)


@fn
def read_map(context: BootContext, info: StartInfo) -> None:
    """Enter the lines of the memory map."""
    if info.map_lines == 0:
        return
    if info.map_lines > MAX_MAP_LINES:
        raise BootError(f"PVH: a memory map of {info.map_lines} lines, more than {MAX_MAP_LINES}")
    table = reach.view(text("PVH, memory map"), info.map, info.map_lines * sizeof(Line))
    for line in table.cast(Line):
        add_memory(context, line.base, line.size, line.kind)


@fn
def read_modules(context: BootContext, info: StartInfo) -> None:
    """Enter the modules."""
    if info.module_count == 0:
        return
    if info.module_count > MAX_MODULES:
        raise BootError(f"PVH: {info.module_count} modules, more than {MAX_MODULES}")
    table = reach.view(text("PVH, modules"), info.modules, info.module_count * sizeof(ModuleEntry))
    for entry in table.cast(ModuleEntry):
        add_module(context, entry.base, entry.size, text_of(entry))


@fn
def text_of(module: ModuleEntry) -> span[u8]:
    """A module's text. QEMU never writes this field: on some machines it has what was in the memory before."""
    if module.text == 0:
        return text("")
    try:
        return trimmed(reach.text_at(text("PVH, module's text"), module.text))
    except BootError as error:
        print(f"{error}: passed over")
        return text("")

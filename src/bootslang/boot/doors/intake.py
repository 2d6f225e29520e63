"""How what a door has found goes into the BootContext: lines of the memory map, modules, texts. Every door's way in.

64-bit mode; native in tests.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import (
    KERNEL,
    LOADER,
    MAX_MEMORY_RANGES,
    MAX_MODULES,
    MODULE,
    RESERVED,
    SOURCE_NONE,
    SPENT_MEMORY,
    BootContext,
    MemoryRange,
    Module,
)
from bootslang.boot.doors import reach
from bootslang.boot.doors.keep import keep
from bootslang.boot.lift import allocator
from bootslang.slang import BootError, compile_for, fn, span, text, u8, u32, u64

compile_for("long64")

OWN_KINDS: Final = (LOADER, KERNEL, MODULE, SPENT_MEMORY)


@fn
def add_memory(context: BootContext, base: u64, size: u64, kind: u32) -> None:
    """Enter a line of the memory map behind the others.

    A line that goes on where the last one ends is joined to it: UEFI tells some 200, nearly all of them alike.
    """
    if size == 0:
        return
    if kind == 0 or kind in OWN_KINDS:  # no firmware's numbers
        kind = RESERVED
    count = context.memory_count
    if count != 0 and continues(context.memory[count - 1], base, size, kind):
        context.memory[count - 1].size += size
        return
    if count >= MAX_MEMORY_RANGES:
        raise BootError(f"the memory map has more than the {MAX_MEMORY_RANGES} lines that are possible")
    context.memory[count] = MemoryRange(base=base, size=size, kind=kind)
    context.memory_count += 1


@fn
def continues(last: MemoryRange, base: u64, size: u64, kind: u32) -> bool:
    """Tell whether a line goes on where the last one ends, neither of them wrapping around."""
    end = last.base + last.size
    return last.kind == kind and end > last.base and end == base and base + size > base


@fn
def add_module(context: BootContext, base: u64, size: u64, line: span[u8]) -> None:
    """Enter a file in memory, with a copy of its text, and reserve its memory.

    The first one is what is booted, and its memory is free again once it is unpacked; with a payload of our own,
    all of them are the kernel's.
    """
    number = context.module_count
    if number >= MAX_MODULES:
        raise BootError(f"more than {MAX_MODULES} modules cannot be handled")
    if size != 0:
        reach.view(text("a module"), base, size)
    kept = keep(line)
    context.modules[number] = Module(base=base, size=size, text=kept.address, text_size=len(kept))
    context.module_count += 1
    is_payload = number == 0 and context.source == SOURCE_NONE
    allocator.reserve(context, base, size, SPENT_MEMORY if is_payload else MODULE)


@fn
def set_command_line(context: BootContext, line: span[u8]) -> None:
    """Keep the line that the loader was started with; options.py takes its own words off it."""
    kept = keep(line)
    context.command_line = kept.address
    context.command_line_size = len(kept)


@fn
def set_loader_name(context: BootContext, name: span[u8]) -> None:
    kept = keep(name)
    context.loader_name = kept.address
    context.loader_name_size = len(kept)


@fn
def require_memory(context: BootContext) -> None:
    """Raise an error if nothing was said of the memory: without it, nothing can be placed."""
    if context.memory_count == 0 and context.alt_mem_k == 0:
        raise BootError("the loader before us tells no memory: neither a map nor a size")

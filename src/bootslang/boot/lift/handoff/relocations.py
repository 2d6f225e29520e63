"""Relocations: a position-independent kernel's words that hold addresses get what was added to its addresses.

It works on the kernel's loaded segments, by the table that PT_DYNAMIC leads to. Of all kinds of relocation there are,
one alone needs no symbols: R_X86_64_RELATIVE. A kernel is whole in itself, so its linker leaves nothing else; what it
leaves all the same is refused by name.
"""

from typing import Final

from bootslang.boot.lift.handoff.kernel import HandoffKernel, contains
from bootslang.slang import BootError, Struct, compile_for, fn, ptr, sizeof, span, text, u8, u32, u64, usize

compile_for("long64")

END: Final = 0
NEEDED: Final = 1
PLT_SIZE: Final = 2
RELA: Final = 7
RELA_SIZE: Final = 8
RELA_ENTRY: Final = 9
REL_SIZE: Final = 18
RELR_SIZE: Final = 35
"""Tags of dynamic entries (System V gABI, "Dynamic Section")."""

NONE: Final = 0
ABSOLUTE: Final = 1
GLOBAL_DATA: Final = 6
JUMP_SLOT: Final = 7
RELATIVE: Final = 8
INDIRECT: Final = 37
"""Types of relocations (System V psABI for x86-64, "Relocation Types"): the first two done, the others named."""


class DynamicEntry(Struct):
    tag: u64
    value: u64


class Relocation(Struct):
    offset: u64
    """The word's address."""
    type: u32
    symbol: u32
    addend: u64


class Table(Struct):
    """Where the relocations are."""

    start: u64
    size: u64
    entry_size: u64


@fn
def apply(kernel: HandoffKernel) -> None:
    """Apply all relocations of a loaded kernel for its shift."""
    found = Table.zeroed()
    entries = kernel.bytes_at(kernel.dynamic.start, kernel.dynamic.size) if kernel.dynamic.size else text("")
    for entry in entries.cast(DynamicEntry):
        if entry.tag == END:
            break
        note(found, entry)
    if not found.size:
        return
    if found.entry_size != sizeof(Relocation) or found.size % sizeof(Relocation):
        raise BootError(
            f"the kernel's relocations take {found.size} bytes, {found.entry_size} each: "
            f"{sizeof(Relocation)} each are due"
        )
    segment = kernel.segments.table[0]
    for index, one in enumerate(kernel.bytes_at(found.start, found.size).cast(Relocation)):
        if one.type == NONE:
            continue
        if one.type != RELATIVE:
            refuse(index, one)
        if not contains(segment, one.offset, sizeof(u64)):
            segment = kernel.segment_at(one.offset, sizeof(u64))
        word = ptr[u64](usize(segment.place + (one.offset - segment.virtual)))
        word[0] = one.addend + kernel.shift


@fn
def note(found: Table, entry: DynamicEntry) -> None:
    """Take in one dynamic entry, or refuse what it asks for."""
    if entry.tag == RELA:
        found.start = entry.value
    elif entry.tag == RELA_SIZE:
        found.size = entry.value
    elif entry.tag == RELA_ENTRY:
        found.entry_size = entry.value
    elif entry.tag == NEEDED:
        raise BootError("the kernel needs a shared library (DT_NEEDED): link it with -static-pie and -nostdlib")
    elif entry.tag == PLT_SIZE and entry.value:
        raise BootError(
            "the kernel has a procedure linkage table (DT_JMPREL): link it with -static-pie, "
            "without symbols left undefined"
        )
    elif entry.tag == REL_SIZE and entry.value:
        raise BootError("the kernel has relocations without addends (DT_REL): x86-64 has those with addends (DT_RELA)")
    elif entry.tag == RELR_SIZE and entry.value:
        raise BootError("the kernel has packed relocations (DT_RELR): link it without -z pack-relative-relocs")


@fn
def refuse(index: usize, one: Relocation) -> None:
    raise BootError(
        f"relocation {index} of the kernel, at {one.offset:#x}, is of type {one.type}{name_of(one.type)}: only "
        "R_X86_64_RELATIVE can be applied; link it with -static-pie, without symbols left undefined"
    )


@fn
def name_of(kind: u32) -> span[u8]:
    """The usual strangers by name."""
    if kind == ABSOLUTE:
        return text(" (R_X86_64_64)")
    if kind == GLOBAL_DATA:
        return text(" (R_X86_64_GLOB_DAT)")
    if kind == JUMP_SLOT:
        return text(" (R_X86_64_JUMP_SLOT)")
    if kind == INDIRECT:
        return text(" (R_X86_64_IRELATIVE)")
    return text("")

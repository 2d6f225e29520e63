"""Linux's `vmlinux`, for x86-64 (ELF64) or i386 (ELF32), with or without debug sections.

It is loaded to the physical addresses of its segments, and its entry is one.
"""

from typing import Any

from bootslang.kernel.elf_file import DYN, EXECUTE, NOT_LINKED, ElfFile, ProgramHeader, check_apart
from bootslang.kernel.model import (
    ADDRESS_BITS_MAX,
    LINUX_COMMAND_LINE_BYTES,
    LINUX_INITRD_ADDRESS_MAX,
    LOW_MEMORY_END,
    KernelKind,
    Limits,
)


def read(elf: ElfFile) -> dict[str, Any]:
    """Return what `Kernel` is made of, or raise `KernelInvalid`."""
    if elf.header.type == DYN:
        raise elf.file.fault(
            "it is position-independent (ELF type DYN), and Linux's vmlinux has a fixed address (type EXEC)",
            "Link it with `-no-pie`.",
        )
    for load in elf.loads:
        _check_load(elf, load)
    places = [(load.number, range(load.physical, load.physical + load.memory_bytes)) for load in elf.loads]
    check_apart(elf.file, places)
    _check_entry(elf)
    memory = range(min(place.start for _, place in places), max(place.stop for _, place in places))
    return {
        "file": elf.file,
        "kind": KernelKind.ELF64 if elf.layout.bits == 64 else KernelKind.ELF32,
        "bits": elf.layout.bits,
        "entry": elf.header.entry,
        "segments": tuple(load.segment for load in elf.loads),
        "memory": memory,
        "limits": _limits(elf, memory),
        "contents": elf.compacted(elf.notes_in_loads()),
    }


def _check_load(elf: ElfFile, load: ProgramHeader) -> None:
    if load.physical < LOW_MEMORY_END:
        raise elf.file.fault(
            f"{load} wants to lie at {load.physical:#x}, below 1 MiB, where the firmware and the loader are",
            "Link it for 1 MiB or above.",
        )
    end = load.physical + load.memory_bytes
    bits = elf.layout.bits
    if end > 1 << min(bits, ADDRESS_BITS_MAX):
        raise elf.file.fault(
            f"{load} wants physical memory up to {end:#x}, and there can be none above"
            f" {1 << min(bits, ADDRESS_BITS_MAX):#x}",
            "Give its segments a physical address: `AT(...)` in the linker script.",
        )
    if load.end > 1 << bits:
        raise elf.file.fault(f"{load} runs past the end of the {bits}-bit address space, from {load.virtual:#x} on")


def _check_entry(elf: ElfFile) -> None:
    """Check that the entry is code from the file. Linux's is a physical address, unlike those of its symbols."""
    entry = elf.header.entry
    for load in elf.loads:
        if load.physical <= entry < load.physical + load.file_bytes:
            if not load.flags & EXECUTE:
                raise elf.file.fault(
                    f"its entry {entry:#x} is in program header {load.number}, which is not executable", NOT_LINKED
                )
            return
    if any(load.virtual <= entry < load.file_end for load in elf.loads):
        raise elf.file.fault(
            f"its entry {entry:#x} is a virtual address, and Linux's vmlinux has a physical one",
            "In the linker script: `phys_start = start - VIRTUAL_BASE; ENTRY(phys_start)`.",
        )
    raise elf.file.fault(f"its entry {entry:#x} lies outside of what is loaded from the file", NOT_LINKED)


def _limits(elf: ElfFile, memory: range) -> Limits:
    """Return Linux's limits: a vmlinux has no header that would tell them.

    A 64-bit kernel takes an initrd anywhere (ext_ramdisk_image), a 32-bit one where its bzImage's header would allow.
    """
    wide = elf.layout.bits == 64
    highest = (1 << ADDRESS_BITS_MAX) - 1 if wide else LINUX_INITRD_ADDRESS_MAX
    return Limits(
        name=elf.file.name,
        command_line_bytes=LINUX_COMMAND_LINE_BYTES,
        command_line_source="Linux's COMMAND_LINE_SIZE on x86 less the NUL; a vmlinux has no header that tells",
        initrd_address_max=highest,
        initrd_source="the most physical memory that an x86 CPU has"
        if wide
        else "initrd_addr_max of Linux on x86; a vmlinux has no header that tells",
        initrd_bytes=max(0, highest + 1 - memory.stop, memory.start - LOW_MEMORY_END),
    )

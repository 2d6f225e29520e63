"""The hand-off protocol: what a 64-bit kernel of your own finds when Bootslang starts it (docs/handoff.md).

Fields are aligned to their size, so that nothing needs packing. Pointers are virtual addresses in the direct map; texts
end with a zero that their size does not count.

These structs are the one definition. The headers for C and Rust and the module for slang kernels are generated from
them, comments and all (`bootslang header`).
"""

from typing import Final

from bootslang.slang import Struct, array, length, u8, u32, u64

MAGIC: Final = int.from_bytes(b"BOOTSLNG", "little")
VERSION: Final = 1

NOTE_NAME: Final = b"Bootslang"
"""An ELF note of this name and of the type below says that a kernel speaks the protocol. It holds the version (u32)."""
NOTE_TYPE: Final = 1

STACK_BYTES: Final = 0x2_0000
"""The stack: 128 KiB, a guard page below."""

DOOR_BIOS: Final = 1
DOOR_MULTIBOOT1: Final = 2
DOOR_MULTIBOOT2: Final = 3
DOOR_PVH: Final = 4

MEMORY_RAM: Final = 1
MEMORY_RESERVED: Final = 2
MEMORY_ACPI_RECLAIMABLE: Final = 3
MEMORY_ACPI_NVS: Final = 4
MEMORY_UNUSABLE: Final = 5
MEMORY_PERSISTENT: Final = 7
MEMORY_LOADER: Final = 0x1001
"""The loader, the stack, page tables and the boot information: RAM once the kernel no longer needs them."""
MEMORY_KERNEL: Final = 0x1002
MEMORY_MODULE: Final = 0x1003

STAMPS: Final = 8


class MemoryRegion(Struct):
    """A piece of the physical address space. Regions are sorted and do not overlap; alike neighbours are merged."""

    base: u64
    size: u64
    kind: u32
    """MEMORY_...; other numbers are the firmware's own and mean: reserved."""
    reserved: u32


class ModuleInformation(Struct):
    """A file that came with the kernel, whole pages of its own in memory."""

    physical: u64
    size: u64
    """In bytes, exact."""
    address: u64
    """Where it can be read."""
    name: u64
    name_size: u64
    checksum: u64
    """XXH64, seed 0, of its bytes."""


class FramebufferInformation(Struct):
    """A linear framebuffer of direct colours; all zero if there is none."""

    physical: u64
    size: u64
    """In bytes."""
    pitch: u32
    """Bytes from a line to the next."""
    width: u32
    height: u32
    depth: u32
    """Bits of a pixel."""
    red_position: u8
    red_size: u8
    green_position: u8
    green_size: u8
    blue_position: u8
    blue_size: u8
    reserved: array[u8] = length(2)


class BootInformation(Struct):
    """What RDI points to at the kernel's first instruction."""

    magic: u64
    version: u32
    door: u32
    """DOOR_...: what started the loader."""
    size: u64
    """Of all that belongs to the boot information, in bytes, from here on: this struct, its tables and texts."""
    physical: u64
    """Where it lies."""

    memory: u64
    """The memory map: MemoryRegion entries."""
    memory_count: u64
    modules: u64
    """ModuleInformation entries."""
    module_count: u64
    command_line: u64
    command_line_size: u64
    loader_name: u64
    """Bootslang and its version."""
    loader_name_size: u64
    door_name: u64
    """What started the loader, by its own name where it told one: "GRUB 2.06"."""
    door_name_size: u64

    direct_map: u64
    """Physical address p is readable and writable at direct_map + p."""
    direct_map_size: u64
    kernel_physical: u64
    """Where the kernel's lowest virtual address lies. The whole kernel is one piece of memory."""
    kernel_virtual: u64
    kernel_size: u64
    """In bytes, from the lowest page of a segment to the end of the highest."""
    kernel_shift: u64
    """What was added to the addresses in the kernel's file (modulo 2^64): 0 for an ET_EXEC."""
    window: u64
    """Virtual: the loader's own pages, the stack among them, at most 2 MiB. Free when the kernel needs them no more."""
    window_size: u64
    page_table: u64
    """Physical: what CR3 holds."""

    framebuffer: FramebufferInformation
    rsdp: u64
    """Physical, as the next three; 0 if none was found."""
    smbios: u64
    """The 32-bit entry point ("_SM_")."""
    smbios3: u64
    """The 64-bit entry point ("_SM3_")."""
    efi_system_table: u64
    stamps: array[u64] = length(STAMPS)
    """Time stamp counter: [4] when the lift starts, [5] just before the kernel; docs/handoff.md has the others."""

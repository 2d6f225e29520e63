"""BootContext: all that a door has gathered for stage 4. The layout is the same in 32 and in 64 bits.

A door fills it, its address goes to stage 4 in EAX, and nothing goes back.
"""

from typing import Final

from bootslang.slang import Struct, array, length, u8, u16, u32, u64

CONTEXT_MAGIC: Final = 0x5854_4354_4F4F_4253
CONTEXT_VERSION: Final = 2

DOOR_BIOS: Final = 1
DOOR_MULTIBOOT1: Final = 2
DOOR_MULTIBOOT2: Final = 3
DOOR_PVH: Final = 4

SOURCE_NONE: Final = 0
"""There is no manifest: the payload is `modules`, the first of which is the kernel or a bundle."""
SOURCE_BIOS: Final = 1
SOURCE_MEMORY: Final = 2

FLAG_VERBOSE: Final = 1
FLAG_TSC: Final = 2
"""The CPU has a time stamp counter."""
FLAG_LONG_MODE: Final = 4
"""The CPU has long mode."""
FLAG_ALLOW_WX: Final = 8
"""A kernel that came as a module may have segments that are writable and executable."""
FLAG_RANDOMISE: Final = 16
"""A position-independent kernel that came as a module gets a random virtual base."""
FLAG_EFI64: Final = 32
"""`efi_system_table` is that of a 64-bit firmware; without it, of a 32-bit one."""

LOG_SERIAL: Final = 1
LOG_DEBUGCON: Final = 2
LOG_SCREEN: Final = 4
"""Bits of `BootContext.log`: where the lift's console may write. What is not there is found out by the console."""
LOG_WITHOUT_SCREEN: Final = LOG_SERIAL | LOG_DEBUGCON
LOG_ALL: Final = LOG_WITHOUT_SCREEN | LOG_SCREEN

PROTOCOL_GUESS: Final = 0
PROTOCOL_LINUX: Final = 1
PROTOCOL_HANDOFF: Final = 2
"""How a kernel that came as a module is to be started (`BootContext.protocol`)."""

GATE_READ: Final = 0x100
"""A GateRequest.interrupt that is no BIOS call: the gate itself reads from the boot drive into the bounce buffer.

In: ECX = sectors (1 to BootContext.sectors_per_call), ESI and EDI = the lower and the upper half of the LBA. Out: ECX =
sectors read; FLAGS with carry set where the one behind them cannot be read, then EAX = the BIOS error code (AH of INT
13h). It takes packets or, where a drive has none, cylinders and heads; it resets and retries. The caller need not know
which.
"""

RAM: Final = 1
RESERVED: Final = 2
LOADER: Final = 0x1001
KERNEL: Final = 0x1002
MODULE: Final = 0x1003
SPENT_MEMORY: Final = 0x1004
"""Kinds of reservations, beside those of E820: what the kernel finds in use, but for the last, which is free again as
soon as the kernel runs (the file that it came in, a bundle, staging memory)."""

MAX_MEMORY_RANGES: Final = 128
MAX_RESERVATIONS: Final = 64
MAX_EDD_DEVICES: Final = 6
MAX_MBR_SIGNATURES: Final = 16
MAX_MODULES: Final = 32
STAMPS: Final = 8
"""Time stamps: [2] to [4] at the start of each stage, [5] just before the kernel.

[1] stays 0: the boot sector has no room to find out whether the CPU has a counter.
"""
SPENT_READING: Final = 0
SPENT_CHECKING: Final = 1
SPENT_UNPACKING: Final = 2
SPENT: Final = 3
"""What stage 4 does with chunks, as indices of `BootContext.spent`."""


class MemoryRange(Struct):
    """One line of the firmware's memory map, or one reservation; `kind` as E820 numbers it."""

    base: u64
    size: u64
    kind: u32


class EddDevice(Struct):
    """What INT 13h AH=41h, 08h and 48h say of a drive, as Linux' zero page holds it (82 bytes)."""

    device: u8
    version: u8
    interface_support: u16
    legacy_cylinder: u16
    legacy_head: u8
    legacy_sectors: u8
    parameters: array[u8] = length(74)


class Framebuffer(Struct):
    """A linear framebuffer; all zero in text mode."""

    base: u64
    size: u32
    """In bytes."""
    pitch: u32
    width: u16
    height: u16
    depth: u16
    red_size: u8
    red_position: u8
    green_size: u8
    green_position: u8
    blue_size: u8
    blue_position: u8
    reserved_size: u8
    reserved_position: u8
    attributes: u16
    """VBE mode attributes."""
    protected_mode_segment: u16
    protected_mode_offset: u16
    pages: u16


class TextMode(Struct):
    """The text screen as INT 10h tells it, for `screen_info`."""

    cursor_column: u8
    cursor_row: u8
    page: u16
    mode: u8
    columns: u8
    rows: u8
    is_vga: u8
    font_points: u16
    ega_bx: u16


class GateRequest(Struct):
    """One BIOS call, or GATE_READ: registers in, registers out. It lies below 64 KiB, beside the gate."""

    interrupt: u32
    eax: u32
    ebx: u32
    ecx: u32
    edx: u32
    esi: u32
    edi: u32
    ebp: u32
    ds: u16
    es: u16
    flags: u32
    """Out: FLAGS after the call; bit 0 is carry."""


class Module(Struct):
    """A file that the loader before us put into memory, with the text that it gave it."""

    base: u64
    size: u64
    """In bytes, exact."""
    text: u64
    """Where its text is: a name or a command line."""
    text_size: u64


class BootContext(Struct):
    magic: u64
    version: u32
    size: u32
    door: u32
    flags: u32

    source: u32
    """SOURCE_BIOS, SOURCE_MEMORY or SOURCE_NONE."""
    drive: u32
    """The BIOS drive number that we were started from (DL)."""
    sector_size: u32
    """In bytes."""
    sectors_per_call: u32
    """The most that one INT 13h call may read."""
    partition_lba: u64
    partition_bytes: u64
    gate: u32
    """The BIOS gate's 32-bit entry: see boot/bios/gate.py."""
    gate_request: u32
    """Its GateRequest."""
    bounce: u32
    bounce_size: u32
    memory_base: u64
    """SOURCE_MEMORY: where the sealed bundle lies."""
    memory_size: u64

    log: u32
    """LOG_ bits."""
    protocol: u32
    """PROTOCOL_ for a kernel that came as a module."""
    page_tables: u32
    """Memory of the door's for page tables, whole pages; the entry's identity map of 4 GiB takes the first six."""
    page_tables_end: u32
    loader_base: u64
    """All memory below 4 GiB that the running loader itself takes, stacks and tables included, in one piece."""
    loader_size: u64
    command_line: u64
    """Where a command line for the kernel is that is used when its module has none; 0: there is none."""
    command_line_size: u64
    loader_name: u64
    """Where the name of the loader before us is, as "GRUB 2.06"; 0: it told none."""
    loader_name_size: u64
    efi_system_table: u64
    """0: not started by UEFI."""
    efi_map: u64
    """Where the UEFI memory map is."""
    efi_map_size: u32
    efi_descriptor_size: u32
    efi_descriptor_version: u32
    module_count: u32
    modules: array[Module] = length(MAX_MODULES)
    """Files in memory, in the order given; their memory stands in `reservations` too."""

    framebuffer: Framebuffer
    text_mode: TextMode
    keyboard_state: u8
    reserved: u8
    ext_mem_k: u16
    """KiB above 1 MiB by INT 15h AH=88h."""
    alt_mem_k: u32
    """KiB above 1 MiB by INT 15h AX=E801h."""
    apm: array[u8] = length(20)
    ist: array[u32] = length(4)
    rsdp: u64
    smbios: u64
    """The 32-bit entry point ("_SM_"), 0 if there is none."""
    smbios3: u64

    edd_count: u8
    mbr_signature_count: u8
    reserved2: u16
    memory_count: u32
    reservation_count: u32
    stamps: array[u64] = length(STAMPS)
    spent: array[u64] = length(SPENT)
    """How long stage 4 has read, checked and unpacked chunks, by the time stamp counter."""
    mbr_signatures: array[u32] = length(MAX_MBR_SIGNATURES)
    edd: array[EddDevice] = length(MAX_EDD_DEVICES)
    memory: array[MemoryRange] = length(MAX_MEMORY_RANGES)
    """The firmware's map as it was told, in its order."""
    reservations: array[MemoryRange] = length(MAX_RESERVATIONS)
    """What is taken: the door begins the table, every stage sees it."""

"""Small kernels of no use but to be read and placed: ELF files and bzImages made field by field, and memory maps."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from bootslang.boot.context import RAM, BootContext
from bootslang.boot.lift.memory_map import MemoryMap, normalise

MIB = 1 << 20
READ_EXECUTE = 5
READ_WRITE = 6


@dataclass
class Load:
    """One PT_LOAD."""

    address: int
    data: bytes = b""
    memory: int | None = None
    flags: int = READ_EXECUTE
    align: int = 0x20_0000
    virtual: int | None = None
    """Without one, the same as the physical address."""


@dataclass
class Elf:
    """A compacted ELF: headers, then the segments' contents one behind the other.

    `patches` overwrites bytes of the headers: {offset: bytes}.
    """

    loads: list[Load]
    bits: int = 64
    entry: int | None = None
    patches: dict[int, bytes] = field(default_factory=dict)
    program_header_size: int | None = None

    @property
    def head(self) -> bytes:
        size, entry_size = (64, 56) if self.bits == 64 else (52, 32)
        entry_size = self.program_header_size or entry_size
        entry = self.loads[0].address if self.entry is None else self.entry
        identification = b"\x7fELF" + bytes([2 if self.bits == 64 else 1, 1, 1]) + bytes(9)
        header = identification + struct.pack(
            "<HHIQQQIHHHHHH" if self.bits == 64 else "<HHIIIIIHHHHHH",
            *(2, 0x3E if self.bits == 64 else 3, 1, entry, size, 0, 0, size, entry_size, len(self.loads), 0, 0, 0),
        )
        offset = size + entry_size * len(self.loads)
        for load in self.loads:
            memory = len(load.data) if load.memory is None else load.memory
            place = load.address
            virtual = place if load.virtual is None else load.virtual
            values = (
                ("<IIQQQQQQ", 1, load.flags, offset, virtual, place, len(load.data), memory, load.align)
                if self.bits == 64
                else ("<IIIIIIII", 1, offset, virtual, place, len(load.data), memory, load.flags, load.align)
            )
            header += struct.pack(*values).ljust(entry_size, b"\0")
            offset += len(load.data)
        data = bytearray(header)
        for start, patch in self.patches.items():
            data[start : start + len(patch)] = patch
        return bytes(data)

    @property
    def body(self) -> bytes:
        return b"".join(load.data for load in self.loads)

    @property
    def size(self) -> int:
        return len(self.head) + len(self.body)


PROTECTED = bytes(range(256)) * 16
"""What stands for a kernel's protected-mode part."""
SETUP_FIELDS = {
    "setup_sects": (0x1F1, 1),
    "syssize": (0x1F4, 4),
    "boot_flag": (0x1FE, 2),
    "jump": (0x200, 2),
    "magic": (0x202, 4),
    "version": (0x206, 2),
    "kernel_version": (0x20E, 2),
    "loadflags": (0x211, 1),
    "code32_start": (0x214, 4),
    "initrd_addr_max": (0x22C, 4),
    "kernel_alignment": (0x230, 4),
    "relocatable": (0x234, 1),
    "min_alignment": (0x235, 1),
    "xloadflags": (0x236, 2),
    "cmdline_size": (0x238, 4),
    "pref_address": (0x258, 8),
    "init_size": (0x260, 4),
}
"""Where Documentation/arch/x86/boot.rst puts them in the file: offset and bytes."""


def bzimage(fields: Mapping[str, int] | None = None, *, protected: bytes = PROTECTED, sectors: int = 3) -> bytes:
    """A bzImage like Debian's amd64 ones; `fields` overrides those of SETUP_FIELDS."""
    values = {
        "setup_sects": sectors,
        "syssize": (len(protected) + 15) // 16,
        "boot_flag": 0xAA55,
        "jump": 0x6AEB,
        "magic": 0x5372_6448,
        "version": 0x020F,
        "kernel_version": 0x300 - 0x200,
        "loadflags": 1,
        "code32_start": 0x10_0000,
        "initrd_addr_max": 0x7FFF_FFFF,
        "kernel_alignment": 0x20_0000,
        "relocatable": 1,
        "min_alignment": 21,
        "xloadflags": 3,
        "cmdline_size": 2047,
        "pref_address": 16 * MIB,
        "init_size": 32 * MIB,
    } | dict(fields or {})
    setup = bytearray((sectors + 1) * 512)
    setup[0x300:0x310] = b"6.1.0-test (a@b)"
    for name, value in values.items():
        offset, size = SETUP_FIELDS[name]
        setup[offset : offset + size] = value.to_bytes(size, "little")
    return bytes(setup) + protected


def machine(*ranges: tuple[int, int], kind: int = RAM) -> tuple[MemoryMap, BootContext]:
    """A machine whose RAM is `ranges` (base, end), nothing of it taken."""
    context = BootContext.zeroed()
    for index, (base, end) in enumerate(ranges):
        line = context.memory[index]
        line.base, line.size, line.kind = base, end - base, kind
    context.memory_count = len(ranges)
    memory = MemoryMap.zeroed()
    normalise(context, memory)
    return memory, context


def pc(mib: int) -> tuple[MemoryMap, BootContext]:
    """A PC with so much memory, all of it below 4 GiB."""
    return machine((0, 0x9_FC00), (MIB, mib * MIB))


def taken(context: BootContext) -> list[tuple[int, int]]:
    """The reservations, as (base, size), sorted."""
    return sorted(
        (context.reservations[index].base, context.reservations[index].size)
        for index in range(context.reservation_count)
    )


PAYLOAD_OFFSET, PAYLOAD_LENGTH = 0x248, 0x24C


def kernel_with(packed: bytes, *, offset: int = 64, length: int | None = None) -> bytes:
    """A bzImage with a payload."""
    protected = bytes(offset) + packed
    file = bytearray(bzimage(protected=protected.ljust(-(-len(protected) // 16) * 16, b"\0")))
    file[PAYLOAD_OFFSET : PAYLOAD_OFFSET + 4] = offset.to_bytes(4, "little")
    file[PAYLOAD_LENGTH : PAYLOAD_LENGTH + 4] = (len(packed) if length is None else length).to_bytes(4, "little")
    return bytes(file)

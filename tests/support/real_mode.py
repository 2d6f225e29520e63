"""A PC in real mode for boot sectors: unicorn as the processor, a BIOS in Python, a disk in memory.

`run` puts a sector at 0x7C00, starts it as a BIOS does, and tells how it ended: what it jumped to, or what it said
before it gave the boot back by INT 18h. The BIOS checks what it is asked: a packet of more than 127 sectors, a buffer
over a 64 KiB boundary or a read over the end of a track fails the test.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import unicorn
from unicorn import x86_const as x86
from unicorn.unicorn import Uc

BOOT_SECTOR = 0x7C00
CARRY = 1
DISK_ERROR = 0x0C
INSTRUCTIONS_MOST = 3_000_000
"""A boot sector that has not come to an end by then hangs."""


@dataclass(kw_only=True)
class Drive:
    """What INT 13h finds: sectors by their LBA, and how it behaves."""

    sectors: dict[int, bytes]
    number: int = 0x80
    sector_size: int = 512
    packets: bool = True
    packet_calls: int = 1
    """CX of AH=41h."""
    heads: int = 16
    track_sectors: int = 63
    failing_reads: set[int] = field(default_factory=set)
    """Which reads fail, counted from 1."""
    bad_lbas: set[int] = field(default_factory=set)


@dataclass
class Outcome:
    """How it ended, and what happened on the way."""

    entered: int | None = None
    """The address it jumped to, outside itself."""
    registers: dict[str, int] = field(default_factory=dict)
    screen: bytes = b""
    serial: bytes = b""
    waited_for_key: bool = False
    gave_up: bool = False
    """By INT 18h."""
    reads: list[tuple[int, int]] = field(default_factory=list)
    """LBA and sectors of each call."""
    resets: int = 0
    memory: Any = None


class RealModePc:
    """One run of one boot sector."""

    def __init__(self, sector: bytes, drive: Drive, *, segment: int = 0) -> None:
        self.drive = drive
        self.outcome = Outcome()
        self.failure: BaseException | None = None
        self.line_is_set_up = False
        cpu = self.cpu = Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)
        cpu.mem_map(0, 0x110000)
        cpu.mem_write(BOOT_SECTOR, sector)
        for register in (x86.UC_X86_REG_DS, x86.UC_X86_REG_ES, x86.UC_X86_REG_FS, x86.UC_X86_REG_GS):
            cpu.reg_write(register, 0x1234)
        for register in (x86.UC_X86_REG_EAX, x86.UC_X86_REG_EBX, x86.UC_X86_REG_ECX, x86.UC_X86_REG_ESI):
            cpu.reg_write(register, 0xDEAD_BEEF)
        cpu.reg_write(x86.UC_X86_REG_SS, 0x0050)
        cpu.reg_write(x86.UC_X86_REG_ESP, 0x0400)
        cpu.reg_write(x86.UC_X86_REG_EFLAGS, 0x0402)  # the direction flag is set
        cpu.reg_write(x86.UC_X86_REG_EDX, 0xFFFF_FF00 | drive.number)
        cpu.reg_write(x86.UC_X86_REG_CS, segment)
        cpu.hook_add(unicorn.UC_HOOK_INTR, self.guarded(self.interrupt))
        cpu.hook_add(unicorn.UC_HOOK_CODE, self.guarded(self.left), begin=0x8000, end=0x10FFFF)

    def guarded(self, hook: Any) -> Any:
        """Bring an assertion in a hook out of the emulator."""

        def call(cpu: Any, *arguments: Any) -> None:
            try:
                hook(*arguments)
            except BaseException as failure:  # noqa: BLE001 - it is raised again by `run`
                self.failure = failure
                cpu.emu_stop()

        return call

    def run(self) -> Outcome:
        """Start at 0x7C00 and return how it ended."""
        start = BOOT_SECTOR - (self.get("CS") << 4)
        self.cpu.emu_start(start + (self.get("CS") << 4), 0xFFFF_FFFF, count=INSTRUCTIONS_MOST)
        if self.failure:
            raise self.failure
        self.outcome.memory = self.cpu.mem_read(0, 0x100000)
        return self.outcome

    def get(self, register: str) -> int:
        return int(self.cpu.reg_read(getattr(x86, f"UC_X86_REG_{register}")))

    def set(self, **registers: int) -> None:
        for name, value in registers.items():
            self.cpu.reg_write(getattr(x86, f"UC_X86_REG_{name.upper()}"), value)

    def left(self, address: int, size: int, data: object) -> None:
        """Note that the sector has jumped out of itself."""
        del size, data
        names = ("CS", "DS", "ES", "SS", "ESP", "EBX", "DL", "EFLAGS")
        self.outcome.entered = address
        self.outcome.registers = {name: self.get(name) for name in names}
        self.cpu.emu_stop()

    def interrupt(self, number: int, data: object) -> None:
        """Answer as the BIOS."""
        del data
        assert self.get("EFLAGS") & 0x400 == 0, "a BIOS is called with the direction flag clear"
        match number:
            case 0x10:
                assert self.get("AH") == 0x0E
                self.outcome.screen += bytes([self.get("AL")])
            case 0x14:
                self.serial()
            case 0x13:
                assert self.get("DL") == self.drive.number
                self.disk()
            case 0x16:
                self.outcome.waited_for_key = True
            case 0x18:
                self.outcome.gave_up = True
                self.cpu.emu_stop()
            case _:
                raise AssertionError(f"INT {number:#x}")

    def serial(self) -> None:
        """Answer INT 14h: set up, then send."""
        assert self.get("DX") == 0
        if self.get("AH") == 0:
            self.line_is_set_up = self.get("AL") == 0xE3
        else:
            assert self.get("AH") == 1
            assert self.line_is_set_up
            self.outcome.serial += bytes([self.get("AL")])
        self.set(ah=0x60)

    def disk(self) -> None:
        """Answer INT 13h."""
        function = self.get("AH")
        failed = False
        if function == 0x00:
            self.outcome.resets += 1
        elif function == 0x02:
            failed = self.read_chs()
        elif function == 0x08:
            self.set(cx=0xFFC0 | self.drive.track_sectors, dh=self.drive.heads - 1, dl=1, es=0x5678, di=0x9ABC)
        elif function == 0x41 and self.drive.packets:
            assert self.get("BX") == 0x55AA
            self.set(bx=0xAA55, cx=self.drive.packet_calls, ah=0x30)
        elif function == 0x42 and self.drive.packets:
            failed = self.read_packet()
        else:
            self.set(ah=1)
            failed = True
        flags = self.get("EFLAGS")
        self.set(eflags=flags | CARRY if failed else flags & ~CARRY)

    def read_packet(self) -> bool:
        place = (self.get("DS") << 4) + self.get("SI")
        size, reserved, count, offset, segment, lba = struct.unpack("<BBHHHQ", self.cpu.mem_read(place, 16))
        assert (size, reserved) == (16, 0)
        failed = self.read(lba, count, (segment << 4) + offset)
        if failed:
            self.cpu.mem_write(place + 2, bytes(2))  # how many sectors were read
        return failed

    def read_chs(self) -> bool:
        count, place = self.get("AL"), self.get("CX")
        sector = (place & 63) - 1
        assert sector + count <= self.drive.track_sectors
        track = (place >> 8 | (place & 0xC0) << 2) * self.drive.heads + self.get("DH")
        return self.read(track * self.drive.track_sectors + sector, count, (self.get("ES") << 4) + self.get("BX"))

    def read(self, lba: int, count: int, address: int) -> bool:
        """Fill memory from the disk; True on an error."""
        size = self.drive.sector_size
        assert 0 < count <= 127, "a packet without sectors, or with more than every BIOS takes"
        assert address >> 16 == (address + count * size - 1) >> 16, "crosses a 64 KiB boundary"
        self.outcome.reads.append((lba, count))
        wanted = range(lba, lba + count)
        if len(self.outcome.reads) in self.drive.failing_reads or self.drive.bad_lbas & set(wanted):
            self.set(ah=DISK_ERROR)
            return True
        for index, number in enumerate(wanted):
            self.cpu.mem_write(address + index * size, self.drive.sectors.get(number, bytes(size)))
        return False

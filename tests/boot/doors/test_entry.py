"""Does the loader's entry find itself wherever it lies, disturb nothing, and leave what slang needs?

A CPU emulator runs it up to the mode switch in 32-bit mode, and from there to `main` in 64-bit mode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import unicorn
from unicorn import x86_const as x86

from bootslang.boot.doors.main import MULTIBOOT1_START, MULTIBOOT2_START, PVH_START
from bootslang.boot.doors.no_long_mode import MESSAGE
from bootslang.boot.doors.workspace import STACK_BYTES, TABLES_BYTES
from bootslang.boot.layout import LOADER, LOADER_MEMORY
from bootslang.boot.lib.console import DEBUG_PORT
from bootslang.boot.lib.serial import DATA
from bootslang.boot.lift.paging import CR4_PAE, LARGE_PAGE, TABLE
from bootslang.rocket import loader_image

MIB = 1 << 20
INFORMATION = 0x9500
SURROUNDINGS = bytes(range(1, 65))
"""What lies around the information, which is its middle."""
HIGHEST = (1 << 32) - LOADER_MEMORY
INSTRUCTIONS_MOST = 2_000_000
LEFT_IN_CR4 = 0x10
"""Page size extensions, for one: what a loader leaves there has no meaning for us, and five levels of tables would."""
USED = 0x60
"""What the CPU sets in entries: accessed, written."""
WORKSPACE = "bootslang.boot.doors.workspace.workspace"
MAIN = "bootslang.boot.doors.main.main"
REGISTERS = ("EAX", "EBX", "ECX", "EDX", "ESI", "EDI", "EBP", "ESP")
emulator: Any = unicorn
"""It has no types."""


@dataclass
class Entered:
    """The loader at an address, and a CPU that runs it."""

    base: int
    model: int = x86.UC_CPU_X86_QEMU64
    outside: list[tuple[int, int]] = field(default_factory=list)
    """What was written outside of the loader's memory: address and bytes."""
    ports: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = loader_image(codecs=())
        self.end = self.base + self.image.memory_bytes
        self.cpu = self.machine(unicorn.UC_MODE_32)
        self.cpu.mem_write(INFORMATION - 32, SURROUNDINGS)
        self.cpu.mem_write(self.base, self.image.data)
        rest = self.end - self.base - len(self.image.data)
        self.cpu.mem_write(self.base + len(self.image.data), b"\xaa" * rest)

    def machine(self, mode: int) -> Any:
        cpu = emulator.Uc(unicorn.UC_ARCH_X86, mode)
        cpu.ctl_set_cpu_model(self.model)
        cpu.mem_map(0, 0x10000)
        cpu.mem_map(self.base, self.end - self.base)
        cpu.hook_add(unicorn.UC_HOOK_MEM_WRITE, self.written)
        cpu.hook_add(
            unicorn.UC_HOOK_INSN, lambda *call: self.ports.append((call[1], call[3])), None, 1, 0, x86.UC_X86_INS_OUT
        )
        cpu.hook_add(unicorn.UC_HOOK_INSN, lambda *_call: 0x60, None, 1, 0, x86.UC_X86_INS_IN)
        return cpu

    def written(self, _cpu: Any, _access: int, address: int, size: int, *_rest: Any) -> None:
        if not self.base <= address < self.end:
            self.outside.append((address, size))

    def place(self, symbol: str) -> int:
        return self.image.symbols[symbol] - self.image.base + self.base

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.cpu.mem_read(address, size))

    def start(self, symbol: str, eax: int, until: int) -> None:
        """Enter the loader as another loader does, with nothing of use in the other registers."""
        for name in REGISTERS:
            self.cpu.reg_write(getattr(x86, f"UC_X86_REG_{name}"), 0xDEAD_BEEF)
        self.cpu.reg_write(x86.UC_X86_REG_CR4, LEFT_IN_CR4)
        self.cpu.reg_write(x86.UC_X86_REG_EAX, eax)
        self.cpu.reg_write(x86.UC_X86_REG_EBX, INFORMATION)
        self.cpu.emu_start(self.place(symbol), until, count=INSTRUCTIONS_MOST)

    def go_on_in_long_mode(self, until: int) -> None:
        """What `retf` to the 64-bit selector does; the upper halves of registers then hold anything."""
        narrow, self.cpu = self.cpu, self.machine(unicorn.UC_MODE_64)
        self.cpu.mem_write(self.base, bytes(narrow.mem_read(self.base, self.end - self.base)))
        self.cpu.mem_write(0, bytes(narrow.mem_read(0, 0x10000)))
        self.cpu.reg_write(x86.UC_X86_REG_GDTR, narrow.reg_read(x86.UC_X86_REG_GDTR))
        for name in REGISTERS:
            value = narrow.reg_read(getattr(x86, f"UC_X86_REG_{name}"))
            popped = 8 if name == "ESP" else 0
            wide = getattr(x86, f"UC_X86_REG_R{name[1:]}")
            self.cpu.reg_write(wide, 0x5555_5555 << 32 | value + popped)
        self.cpu.emu_start(self.place("door_long_mode"), until, count=INSTRUCTIONS_MOST)


def retf(entered: Entered) -> int:
    return entered.place("door_distances") - 1


@pytest.mark.parametrize("base", [LOADER, MIB, 0x12_3000, 0x5F_F000, 0x7FFF_F000, HIGHEST], ids=hex)
def test_it_borrows_one_dword_and_restores_it(base: int) -> None:
    entered = Entered(base)
    entered.start("bootslang.boot.doors.entry.start", MULTIBOOT2_START, retf(entered))
    assert entered.cpu.reg_read(x86.UC_X86_REG_EIP) == retf(entered)
    assert entered.outside == [(INFORMATION, 4), (INFORMATION, 4)]
    assert entered.cpu.reg_read(x86.UC_X86_REG_CR3) == entered.place(WORKSPACE)
    assert entered.cpu.reg_read(x86.UC_X86_REG_CR4) == CR4_PAE
    assert entered.read(INFORMATION - 32, 64) == SURROUNDINGS


@pytest.mark.parametrize("base", [LOADER, 0x12_3000, HIGHEST], ids=hex)
@pytest.mark.parametrize("start", [MULTIBOOT1_START, MULTIBOOT2_START, PVH_START], ids=["mb1", "mb2", "pvh"])
def test_slang_is_entered_with_what_the_loader_was_told(base: int, start: int) -> None:
    entered = Entered(base)
    entry = "pvh_start" if start == PVH_START else "bootslang.boot.doors.entry.start"
    entered.start(entry, 0xDEAD_BEEF if start == PVH_START else start, retf(entered))
    entered.go_on_in_long_mode(entered.place(MAIN))
    cpu = entered.cpu
    assert cpu.reg_read(x86.UC_X86_REG_RIP) == entered.place(MAIN)
    assert (cpu.reg_read(x86.UC_X86_REG_EDI), cpu.reg_read(x86.UC_X86_REG_ESI)) == (start, INFORMATION)
    top = entered.place(WORKSPACE) + TABLES_BYTES + STACK_BYTES
    assert cpu.reg_read(x86.UC_X86_REG_RSP) == top - 8  # the return address
    assert top % 16 == 0


@pytest.mark.parametrize("base", [LOADER, 0x12_3000, HIGHEST], ids=hex)
def test_every_address_in_the_image_is_made_right(base: int) -> None:
    entered = Entered(base)
    entered.start("bootslang.boot.doors.entry.start", MULTIBOOT2_START, retf(entered))
    entered.go_on_in_long_mode(entered.place(MAIN))
    assert entered.image.relocations
    for offset, size in entered.image.relocations:
        linked = int.from_bytes(entered.image.data[offset : offset + size], "little")
        assert int.from_bytes(entered.read(base + offset, size), "little") == linked + base - entered.image.base


def test_bss_is_clear_and_the_first_tables_map_4_gib() -> None:
    """Of the rest of the workspace nothing is promised: what is taken of it is cleared then."""
    entered = Entered(0x12_3000)
    entered.start("bootslang.boot.doors.entry.start", MULTIBOOT2_START, retf(entered))
    entered.go_on_in_long_mode(entered.place(MAIN))
    tables = entered.place(WORKSPACE)
    bss = entered.place("__bss_start")
    data = entered.read(bss, entered.end - bss)
    stack_top = tables + TABLES_BYTES + STACK_BYTES - bss
    assert not any(data[: tables - bss])
    assert not any(data[stack_top:])
    entries = [entry & ~USED for entry in memoryview(data)[tables - bss :][: 6 * 4096].cast("Q")]
    assert entries[:512] == [tables + 0x1000 | TABLE] + [0] * 511
    assert entries[512:1024] == [tables + 0x1000 * index | TABLE for index in range(2, 6)] + [0] * 508
    assert entries[1024:] == [page * 2 * MIB | LARGE_PAGE for page in range(2048)]


@pytest.mark.parametrize("model", [x86.UC_CPU_X86_486, x86.UC_CPU_X86_PENTIUM3], ids=["486", "pentium3"])
def test_a_cpu_without_long_mode_is_told_so(model: int) -> None:
    entered = Entered(0x12_3000, model)
    entered.start("bootslang.boot.doors.entry.start", MULTIBOOT1_START, entered.place("narrow_stop"))
    for port in (DATA, DEBUG_PORT):
        said = bytes(value for where, value in entered.ports if where == port)
        assert said.removeprefix(b"\x01").decode() == f"{MESSAGE}\r\n"  # the baud rate's divisor is 1


def test_all_memory_is_within_the_limit() -> None:
    image = loader_image()
    assert image.memory_bytes <= LOADER_MEMORY
    assert image.base == LOADER

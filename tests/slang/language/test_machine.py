"""Do ports, assembly, volatile memory and the CPU's own instructions reach the machine, or the fake of it?"""

from __future__ import annotations

from typing import Any

import pytest

from bootslang.slang import (
    FakeMachine,
    Struct,
    array,
    asm,
    cpuid,
    fn,
    halt,
    inb,
    inl,
    inw,
    outb,
    outl,
    outw,
    ptr,
    read_cr0,
    read_msr,
    read_tsc,
    span,
    target,
    u8,
    u16,
    u32,
    u64,
    usize,
    volatile,
    write_msr,
)
from support.slang_machines import EMULATED, TARGETS, call, error_of

on_every_machine = pytest.mark.parametrize("machine", TARGETS)
on_the_emulator = pytest.mark.parametrize("machine", EMULATED)

ANSWER = 42
word: u32 = 5
table: array[u8] = array[u8]((10, 20, 30))


class Device(Struct):
    status: volatile[u8]
    data: volatile[u16]
    plain: u8


@fn
def behind_address_zero() -> u64:
    first = ptr[u64](0)
    first[0] = ANSWER
    return first[0]


@fn
def ports(value: u32) -> u32:
    outb(0x80, u8(value))
    outw(0x81, u16(value))
    outl(0x82, value)
    return inb(0x60) + inw(0x61) + inl(0x62)


@fn
def device(at: Device) -> u16:
    while at.status & 1:
        pass
    at.data = 0x1234
    at.plain = 7
    at.data += 1
    return at.data


@fn
def screen(cells: span[volatile[u16]]) -> None:
    cells[1] = 0x0741
    for cell in cells:
        if cell == 0:
            break
    cells[2:].fill(0x0720)


@fn
def registers(first: u32, second: u16) -> tuple[u32, u16, u8]:
    after = asm("add eax, 3\nxchg dl, dh\nmov cl, 9", eax=first, dx=second, clobbers="ecx")
    low = asm("mov cl, 9").cl
    return after.eax, after.dx, low


@fn
def halves(high: u8, low: u8) -> tuple[u16, u8, u8]:
    after = asm("xchg ah, al", ah=high, al=low)
    return after.ax, after.ah, after.al


@fn
def flags(a: u32, b: u32) -> tuple[bool, bool]:
    after = asm("cmp eax, ebx", eax=a, ebx=b)
    return after.carry, after.zero


@fn
def texts() -> u32:
    if target.bits == 64:
        return asm(f"mov eax, [rip + {word}]\nadd eax, {ANSWER}", clobbers="memory").eax
    return asm(f"mov eax, [{word}]\nadd eax, {ANSWER}", clobbers="memory").eax


@fn
def loop_in_assembly(count: u32) -> u32:
    after = asm("xor eax, eax\n2: add eax, ecx\ndec ecx\njnz 2b", ecx=count)
    return after.eax


@fn(naked=True)
def add_naked(a: u32, b: u32) -> u32:
    return asm("lea eax, [eax + edx]\nret").eax


@fn
def calls_naked(a: u32) -> u32:
    return add_naked(a, 4)


@fn
def identity() -> tuple[u32, u32]:
    most, ebx, ecx, edx = cpuid(0)
    return most, ebx ^ ecx ^ edx


@fn
def leaf(number: u32, part: u32) -> u32:
    return cpuid(number, part)[1]


@fn
def clock() -> u64:
    return read_tsc()


@fn
def msr(number: u32, value: u64) -> u64:
    write_msr(number, value)
    return read_msr(number)


@fn
def control() -> usize:
    return read_cr0()


@fn
def stops() -> None:
    halt()


class Ports(FakeMachine):
    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def read_port(self, port: int, size: int) -> int:
        self.seen.append((port, size))
        return {1: 0x11, 2: 0x2222, 4: 0x4444_4444}[size]

    def write_port(self, port: int, size: int, value: int) -> None:
        self.seen.append((port, size, value))


class Memory(FakeMachine):
    def __init__(self, reads: list[int]) -> None:
        self.reads, self.seen = reads, list[tuple[Any, ...]]()

    def read_memory(self, address: int, size: int) -> int:
        self.seen.append((address, size))
        return self.reads.pop(0)

    def write_memory(self, address: int, size: int, value: int) -> None:
        self.seen.append((address, size, value))


class Cpu(FakeMachine):
    def __init__(self, **answers: dict[str, int]) -> None:
        self.answers, self.seen = answers, list[tuple[str, dict[str, int]]]()

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        self.seen.append((code, registers))
        return self.answers[code.split(maxsplit=1)[0]]


@on_every_machine
def test_ports_are_read_and_written_in_their_width(machine: str) -> None:
    with Ports() as seen:
        assert call(machine, ports, 0x8765_4321) == 0x11 + 0x2222 + 0x4444_4444
    written: list[Any] = [(0x80, 1, 0x21), (0x81, 2, 0x4321), (0x82, 4, 0x8765_4321)]
    assert seen.seen == [*written, (0x60, 1), (0x61, 2), (0x62, 4)]


def test_every_volatile_access_is_one_access_of_the_fake_machine() -> None:
    place = Device(status=0, data=0, plain=0)
    with Memory([1, 1, 0, 0x1234, 0x99]) as seen:
        assert call("host", device, place) == 0x99
    base = seen.seen[0][0]
    status, data = (base, 1), (base + 1, 2)
    assert seen.seen == [status, status, status, (*data, 0x1234), data, (*data, 0x1235), data]
    assert place.plain == 7
    cells = bytearray(8)
    with Memory([1, 0]) as seen:
        call("host", screen, cells)
    base = seen.seen[0][0] - 2
    reads = [(base, 2), (base + 2, 2)]
    assert seen.seen == [(base + 2, 2, 0x741), *reads, (base + 4, 2, 0x720), (base + 6, 2, 0x720)]
    assert not any(cells)


@on_the_emulator
def test_address_zero_is_an_address(machine: str) -> None:
    """The BIOS's interrupt vectors begin there: the compiler must not take it for a mistake that cannot happen."""
    assert call(machine, behind_address_zero) == ANSWER


@on_the_emulator
def test_volatile_memory_is_memory(machine: str) -> None:
    place = Device(status=0, data=0, plain=0)
    assert call(machine, device, place) == 0x1235
    assert bytes(place) == b"\x00\x35\x12\x07"


@on_the_emulator
def test_assembly_takes_registers_and_gives_them_back(machine: str) -> None:
    assert call(machine, registers, 5, 0x1234) == (8, 0x3412, 9)
    assert call(machine, halves, 0x12, 0x34) == (0x3412, 0x34, 0x12)
    assert call(machine, flags, 1, 2) == (True, False)
    assert call(machine, flags, 2, 2) == (False, True)
    assert call(machine, texts) == 47
    assert call(machine, loop_in_assembly, 100) == 5050


@pytest.mark.parametrize("machine", ["real16", "protected32"])
def test_naked_functions_are_their_assembly(machine: str) -> None:
    assert call(machine, calls_naked, 5) == 9


@on_the_emulator
def test_the_cpus_own_instructions_run(machine: str) -> None:
    most, vendor = call(machine, identity)
    assert most > 0
    assert vendor
    assert call(machine, clock) > 0
    assert call(machine, control) & 1 == (machine != "real16")


def test_assembly_on_the_host_is_what_the_fake_machine_says() -> None:
    with Cpu(add={"eax": 77, "dx": 88}, mov={"cl": 3}) as cpu:
        assert call("host", registers, 5, 6) == (77, 88, 3)
    assert cpu.seen[0] == ("add eax, 3\nxchg dl, dh\nmov cl, 9", {"eax": 5, "dx": 6})
    with Cpu(cmp={"carry": 1, "zero": 0}):
        assert call("host", flags, 5, 6) == (True, False)
    with Cpu(cpuid={"eax": 1, "ebx": 0x8000_0000, "ecx": 3, "edx": 4}) as cpu:
        assert call("host", leaf, 7, 1) == 0x8000_0000
    assert cpu.seen == [("cpuid", {"eax": 7, "ecx": 1})]
    with Cpu(rdtsc={"eax": 0xFFFF_FFFF, "edx": 1}):
        assert call("host", clock) == 0x1_FFFF_FFFF
    with Cpu(wrmsr={}, rdmsr={"eax": 5, "edx": 6}) as cpu:
        assert call("host", msr, 0x10, 0x1_0000_0002) == 0x6_0000_0005
    assert cpu.seen[0] == ("wrmsr", {"ecx": 0x10, "eax": 2, "edx": 1})
    with Cpu(mov={"rax": 0x8000_0011}):
        assert call("host", control) == 0x8000_0011


def test_what_no_fake_machine_answers_is_an_error_in_the_test() -> None:
    with pytest.raises(NotImplementedError, match=r"the code writes 0x1 to port 0x80 \(1 bytes\)"):
        call("host", ports, 1)
    with pytest.raises(NotImplementedError, match="the code runs assembly: 'rdtsc'"):
        call("host", clock)
    with Cpu(rdtsc={"eax": 1}), pytest.raises(KeyError, match="the fake machine gave no edx for 'rdtsc'"):
        call("host", clock)
    assert call("host", clock_after_all) == 3


@fn
def clock_after_all() -> u32:
    """Nothing is left of the failures before."""
    return 3


def test_halt_and_naked_functions_on_the_host_are_errors() -> None:
    assert error_of("host", stops) == "the machine was halted"
    with pytest.raises(TypeError, match="assembly alone"):
        call("host", add_naked, 1, 2)

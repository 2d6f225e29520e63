"""Are the vectors' gates as the processor reads them, and does the report say what the processor has said?"""

import struct

import pytest

from bootslang.boot.lift import exceptions
from bootslang.boot.lift.exceptions import Frame, Gate, HostedKernel, Saved
from bootslang.slang import BootError, FakeMachine, array, sizeof, span, u8

IMAGE, IMAGE_END = 0x20_0000, 0x23_0000
CR2, CR3 = 0x80_0000_1000, 0x7_0000
STUBS = 0xFFFF_FFFF_7FE1_2345


class Processor(FakeMachine):
    """Its control registers, and an image at IMAGE with a table of lines."""

    def __init__(self, table: bytes = b"") -> None:
        self.table: span[u8] = span(bytearray(table))

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        values = {
            "__image_start": IMAGE,
            "__bss_end": IMAGE_END,
            "__lines_start": self.table.address,
            "__lines_end": self.table.address + len(self.table),
            "cr2": CR2,
            "cr3": CR3,
        }
        for name, value in values.items():
            if name in code:
                return {"rax": value}
        return super().assembly(code, registers)


def told(
    vector: int, error_code: int, rip: int, capsys: pytest.CaptureFixture[str], kernel: HostedKernel | None = None
) -> list[str]:
    frame = Frame(rip=rip, cs=8, rflags=0x46, rsp=0x5_F000, ss=0x18)
    exceptions.kernel.start, exceptions.kernel.end, exceptions.kernel.shift, exceptions.kernel.stack_guard = (
        (kernel.start, kernel.end, kernel.shift, kernel.stack_guard) if kernel else (0, 0, 0, 0)
    )
    with Processor():
        exceptions.tell(vector, error_code, frame)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("with_stacks", [False, True])
def test_gates_are_as_the_manual_has_them(*, with_stacks: bool) -> None:
    """Volume 3A, figure 6-8: offset, selector, IST, present interrupt gate of ring 0; stacks only if asked for."""
    table = array[Gate](Gate.zeroed() for _ in range(32))
    exceptions.fill(table, STUBS, with_stacks)
    stacks = {8: 1, 14: 2, 13: 3} if with_stacks else {}
    for vector in range(32):
        low, selector, stack, kind, middle, high, reserved = struct.unpack("<HHBBHII", bytes(table[vector]))
        assert high << 32 | middle << 16 | low == STUBS + 5 * vector
        assert (selector, stack, kind, reserved) == (8, stacks.get(vector, 0), 0x8E, 0)


def test_a_place_in_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    """By a table that says: from 0x40 on line 7 of the file a.py, whose function f begins in line 5."""
    table = struct.pack("<I", 5) + b"\xff\x40\x00\x07\x00" + b"\x04a.py\x01\x00\x05\x01f"
    frame = Frame(rip=IMAGE + 0x42, cs=8, rflags=0x46, rsp=0x5_F000, ss=0x18)
    with Processor(table):
        exceptions.tell(6, 0, frame)
    assert capsys.readouterr().out.splitlines()[1] == "RIP 0x200042: f [a.py:7]"


def test_a_page_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(14, 2, 0x20_1234, capsys) == [
        "CPU exception 14 (#PF page fault), error code 0x2",
        "RIP 0x201234: the loader, 0x1234 bytes from its start",
        "CR2 0x8000001000: written to, but not mapped",
        "RSP 0x5f000  RFLAGS 0x46  CS 0x8  SS 0x18  CR3 0x70000",
    ]


@pytest.mark.parametrize(
    ("error_code", "access"),
    [
        (0, "read, but not mapped"),
        (2, "written to, but not mapped"),
        (16, "executed, but not mapped"),
        (1, "may not be read"),
        (3, "may not be written to"),
        (17, "may not be executed"),
    ],
)
def test_what_a_page_fault_was_about(capsys: pytest.CaptureFixture[str], error_code: int, access: str) -> None:
    assert told(14, error_code, 0, capsys)[2] == f"CR2 {CR2:#x}: {access}"


@pytest.mark.parametrize(
    ("vector", "line"),
    [
        (0, "CPU exception 0 (#DE divide error)"),
        (6, "CPU exception 6 (#UD invalid opcode)"),
        (8, "CPU exception 8 (#DF double fault), error code 0x0"),
        (9, "CPU exception 9 (reserved)"),
        (13, "CPU exception 13 (#GP general protection), error code 0x0"),
        (21, "CPU exception 21 (#CP control protection), error code 0x0"),
        (22, "CPU exception 22 (reserved)"),
        (31, "CPU exception 31 (reserved)"),
    ],
)
def test_vectors_have_names(capsys: pytest.CaptureFixture[str], vector: int, line: str) -> None:
    """Intel's table 6-1, and only those with an error code tell one; CR2 is of page faults alone."""
    assert told(vector, 0, 0, capsys)[0] == line
    assert not any(line.startswith("CR2") for line in told(vector, 0, 0, capsys))


KERNEL = HostedKernel(start=0x8000_0000, end=0x8000_4000, shift=0, stack_guard=CR2 // 0x1000 * 0x1000)
MOVED = HostedKernel(start=0xFFFF_FFFF_8000_0000, end=0xFFFF_FFFF_8000_4000, shift=0xFFFF_FFFF_8000_0000, stack_guard=0)


@pytest.mark.parametrize("rip", [0, IMAGE - 1, IMAGE_END, 0xFFFF_FFFF_8000_0000])
def test_what_is_outside_of_the_loader_is_called_so(capsys: pytest.CaptureFixture[str], rip: int) -> None:
    assert told(6, 0, rip, capsys)[1] == f"RIP {rip:#x}: outside of the loader"
    assert told(6, 0, rip, capsys, KERNEL)[1] == f"RIP {rip:#x}: outside of the loader and of the kernel"


def test_the_kernel_is_found_again_in_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(6, 0, 0x8000_1234, capsys, KERNEL)[1:3] == [
        "RIP 0x80001234: the kernel",
        f"RSP 0x5f000  RFLAGS 0x46  CS 0x8  SS 0x18  CR3 {CR3:#x}",
    ]
    assert told(6, 0, 0xFFFF_FFFF_8000_1234, capsys, MOVED)[1:3] == [
        "RIP 0xffffffff80001234: the kernel",
        "Its file calls that 0x1234.",
    ]


def test_a_stack_that_has_overflowed_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = "That is the page below the kernel's stack: it has overflowed."
    assert said in told(14, 2, 0x8000_1234, capsys, KERNEL)
    assert said not in told(14, 2, 0x8000_1234, capsys, MOVED)
    assert said not in told(14, 2, 0x8000_1234, capsys)


@pytest.mark.parametrize(("vector", "error"), [(6, b""), (14, (2).to_bytes(8, "little"))])
def test_the_stack_is_read_as_the_processor_leaves_it(
    capsys: pytest.CaptureFixture[str], vector: int, error: bytes
) -> None:
    """Is the vector found by its stub, and the frame behind the error code where there is one?"""
    stub = STUBS + 5 * (vector + 1)
    stack = struct.pack("<16Q", *range(0x100, 0x10F), stub) + error + struct.pack("<5Q", 0x20_0042, 8, 2, 0x5_E000, 0)
    assert struct.calcsize("<16Q") == sizeof(Saved)
    lent: span[u8] = span(bytearray(stack))
    with Processor(), pytest.raises(BootError, match="the machine was halted"):
        exceptions.report(lent.address, STUBS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"CPU exception {vector} (")
    assert lines[1] == "RIP 0x200042: the loader, 0x42 bytes from its start"
    registers = "  ".join(line for line in lines if line.startswith(("RAX", "RDX", "RBP", "R10", "R13"))).split()
    names = ["RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"]
    assert registers[::2] == names
    assert registers[1::2] == [f"{value:016x}" for value in range(0x100, 0x10F)]


def test_a_fault_of_the_handler_is_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Does an exception in the midst of the report not start another one?"""
    exceptions.reporting = True
    with Processor(), pytest.raises(BootError, match="the machine was halted"):
        exceptions.report(0, STUBS)
    assert capsys.readouterr().out == ""

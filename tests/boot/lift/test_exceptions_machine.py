"""Does a real CPU's exception in the loader end in a report, on every console, that names the place as DWARF does?

gdb holds the machine at one of the loader's functions and makes it fault there: the loader is the one that users get.
"""

from __future__ import annotations

import re
import subprocess
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import pytest

from bootslang import Image as DiskImage
from bootslang import Loader, Machine, rocket
from bootslang.kernel import debian
from support.linux import Guests
from support.own_kernels import OwnKernel, Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bootslang.emulator import Guest
    from bootslang.slang.link import Image

pytestmark = pytest.mark.machine

SUM = "bootslang.boot.lib.xxh64.take_stripes"
"""RSI is the address of what it sums, RDX the size; the first is of the manifest, fresh from the BIOS."""
SUM_SIZE = "set $rdx = 256"
COPY = "memcpy"
"""RDI is where it copies to."""
LAST = "bootslang.boot.lift.handover.enter"
DOOR = "bootslang.boot.doors.main.gather"
NOT_MAPPED = 0x7000_0000_0000
NOT_CANONICAL = 0x8000_0000_0000
UD2 = 0x0B0F
NO_STACK = b"\x48\xbc" + (0x9000_0000_0000).to_bytes(8, "little")
"""mov rsp, an address that is none: nothing can be pushed there."""
STACK_NOWHERE = b"\xbc" + (0x1000).to_bytes(4, "little")
"""mov esp, 0x1000: nothing is mapped there."""
PUSH = b"\x50"
LOAD_SELECTOR = b"\x66\xb8\xf8\xff\x8e\xd8"
"""mov ax, 0xfff8; mov ds, ax: beyond the end of the GDT."""
DIVIDE_BY_ZERO = b"\x31\xc9\xf7\xf1"
"""xor ecx, ecx; div ecx. The exception cannot be pushed, which is the second fault."""
SCREEN, SCREEN_BYTES, COLUMNS = 0xB8000, 4000, 80
END = "Boot stopped. Reset the machine to try again."
LIMIT_SECONDS = 60


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Guests(tmp_path_factory.mktemp("disk")).disk(debian.cloud_kernel())


def faulted(machine: Machine, image: Image, function: str, *commands: str) -> tuple[Sequence[str], int]:
    """Run to a function's first instruction, let gdb do what makes it fault, and run on: the report, that address."""
    address = image.symbols[function]
    with machine.start() as guest:
        script = [f"target remote 127.0.0.1:{guest.gdb_port}", f"hbreak *{address}", "continue", *commands]
        arguments = [part for command in [*script, "delete", "detach"] for part in ("-ex", command)]
        subprocess.run(["gdb", "-q", "-batch", "-nx", *arguments], check=True, capture_output=True, timeout=120)
        report = told(guest)
    said = re.fullmatch(r"RIP (\S+): (\S+) \[(\S+):(\d+)\]", report[1])
    assert said
    function, file, line = place_of(image, int(said[1], 16))
    assert (said[2], said[3]) == (function, file)
    assert line in (0, int(said[4]))
    return report, address


def in_stage4(disk: Path, function: str, *commands: str) -> tuple[Sequence[str], int]:
    machine = Machine(disk, accel="tcg", memory=256, gdb=True, debugcon=True)
    return faulted(machine, rocket.lift64(()), function, *commands)


def told(guest: Guest) -> Sequence[str]:
    """The report, which is the same on COM1 and on port 0xE9."""
    outcome = guest.watch(expect=f"{END}\r\n", timeout=LIMIT_SECONDS).check()
    report = report_of(outcome.console)
    debugcon = guest.debugcon
    assert debugcon is not None
    with debugcon.changed:
        assert debugcon.changed.wait_for(lambda: END in debugcon.text, LIMIT_SECONDS)
    assert report_of(debugcon.text) == report
    return report


def place_of(image: Image, address: int) -> tuple[str, str, int]:
    """The innermost function, file and line by another reader of DWARF; line 0 where the compiler names none."""
    with NamedTemporaryFile() as file:
        file.write(image.elf)
        file.flush()
        command = ["addr2line", "-f", "-i", "-e", file.name, hex(address)]
        function, place = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[:2]
    path, _, line = place.partition(":")
    return function.rpartition(".")[2], path.partition("bootslang/")[2], int(line) if line.isdigit() else 0


def report_of(console: str) -> Sequence[str]:
    lines = console.replace("\r", "").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("CPU exception"))
    return lines[start : lines.index(END)]


def value(report: Sequence[str], name: str) -> int:
    found = re.search(rf"\b{name} +(?:0x)?([0-9a-f]+)", "\n".join(report))
    assert found, report
    return int(found[1], 16)


def test_an_instruction_that_is_none(disk: Path) -> None:
    """Is the place exact, and does the table of vectors outlive the way into the BIOS and back?"""
    report, address = in_stage4(disk, LAST, f"set *(unsigned short *)$rip = {UD2}", "set $r15 = 0x123456789")
    assert report[0] == "CPU exception 6 (#UD invalid opcode)"
    assert value(report, "RIP") == address
    assert value(report, "R15") == 0x1_2345_6789


@pytest.mark.parametrize(
    ("function", "register", "error_code", "access"),
    [(SUM, "rsi", 0, "read"), (COPY, "rdi", 2, "written to")],
    ids=["read", "write"],
)
def test_memory_that_is_not_mapped(disk: Path, function: str, register: str, error_code: int, access: str) -> None:
    report, address = in_stage4(disk, function, f"set ${register} = {NOT_MAPPED}", SUM_SIZE)
    assert report[0] == f"CPU exception 14 (#PF page fault), error code {error_code:#x}"
    assert report[2] == f"CR2 {NOT_MAPPED:#x}: {access}, but not mapped"
    assert address <= value(report, "RIP") < address + 0x200


def test_an_address_that_is_none(disk: Path) -> None:
    report, _ = in_stage4(disk, SUM, f"set $rsi = {NOT_CANONICAL}", SUM_SIZE)
    assert report[0] == "CPU exception 13 (#GP general protection), error code 0x0"
    assert not any(line.startswith("CR2") for line in report)


def test_a_door_that_faults(tmp_path: Path) -> None:
    """Are the handlers there before what another loader has told is looked at?"""
    loader = tmp_path / "loader"
    Loader().build(loader)
    machine = Machine(kernel=loader, machine="q35", accel="tcg", memory=64, gdb=True, debugcon=True)
    report, address = faulted(machine, rocket.loader_image(), DOOR, f"set *(unsigned short *)$rip = {UD2}")
    assert report[0] == "CPU exception 6 (#UD invalid opcode)"
    assert value(report, "RIP") == address


@pytest.mark.parametrize(
    ("code", "exception"),
    [
        (STACK_NOWHERE + PUSH, "14 (#PF page fault), error code 0x2"),
        (NO_STACK + LOAD_SELECTOR, "13 (#GP general protection), error code 0xfff8"),
        (NO_STACK + DIVIDE_BY_ZERO, "8 (#DF double fault), error code 0x0"),
    ],
    ids=["page fault", "general protection", "double fault"],
)
def test_a_kernel_without_a_stack_is_told_all_the_same(tmp_path: Path, code: bytes, exception: str) -> None:
    """Do the exceptions that a bad stack leads to have stacks of their own?"""
    with kernel_machine(tmp_path, code).start() as guest:
        assert told(guest)[0] == f"CPU exception {exception}"


def kernel_machine(folder: Path, code: bytes) -> Machine:
    """A machine with a disk that boots a kernel of one's own with this code."""
    kernel = folder / "kernel"
    kernel.write_bytes(OwnKernel([Part(0, code.ljust(0x1000, b"\xf4"))]).file)
    disk = folder / "disk.img"
    DiskImage(kernel=kernel).build(disk)
    return Machine(disk, accel="tcg", memory=64, debugcon=True)


def test_a_kernel_that_faults_is_told_on_every_console(tmp_path: Path) -> None:
    """Where only the kernel's address space is left: on COM1, port 0xE9 and the screen, with its file's addresses?"""
    screen = tmp_path / "screen"
    with kernel_machine(tmp_path, b"\x90\x0f\x0b").start() as guest:
        report = told(guest)
        guest.execute("pmemsave", val=SCREEN, size=SCREEN_BYTES, filename=str(screen))
    assert report[0] == "CPU exception 6 (#UD invalid opcode)"
    assert report[1].endswith(": the kernel")
    assert report[2] == "Its file calls that 0x1."
    cells = screen.read_bytes()[::2].decode("latin-1")
    rows = [cells[start : start + COLUMNS].rstrip() for start in range(0, len(cells), COLUMNS)]
    assert report_of("\n".join(rows)) == report

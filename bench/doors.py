"""From a door to the first instruction of a kernel of one's own: `python -m bench doors`.

QEMU starts the loader by Multiboot 1 and by PVH, and the kernel (own_kernel.py) comes as a module, as a bundle, or
sealed into the loader. At the loader's first instruction QEMU's gdb stub stops the machine, and a few instructions note
the time stamp counter before it goes on; the kernel notes it again. With `-icount shift=0` the counter counts
instructions; `rep movs` counts one an iteration.
"""

from __future__ import annotations

import struct
import tempfile
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from elftools.elf.elffile import ELFFile
from rich.console import Console
from rich.table import Table

from bench.journey import wait_for_kernel
from bench.own_kernel import ARRIVED, KERNEL_BYTES, own_kernel
from bench.stub import RBX, RDI, Stub
from bootslang import Bundle, Loader, Machine, rocket
from bootslang.boot.handoff import MAGIC, BootInformation
from bootslang.doors import read_doors
from bootslang.slang import sizeof, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTRUCTIONS_MAX: Final = 1_500_000
INSTRUCTIONS_AIM: Final = 800_000
BARE_BYTES_MAX: Final = 64 << 10
FULL_BYTES_MAX: Final = 160 << 10
"""The loader's file without payload: without codecs, and with all."""
MEMORY: Final = "512M"

CLOCK: Final = 0x500
"""Free low memory: where the start is noted, and what notes it."""
CLOCK_CODE: Final = CLOCK + 16


@dataclass(frozen=True)
class Door:
    """A way in, as QEMU offers it."""

    name: str
    machine: str
    bits: int


PVH: Final = "PVH"
DOORS: Final = (Door("Multiboot 1", "pc", 32), Door(PVH, "q35", 64))
PAYLOADS: Final = ("module", "bundle", "sealed")


@dataclass(frozen=True)
class FileSize:
    """One line of the table of files, in bytes."""

    file: str
    codecs: str
    size: int
    budget: int


@dataclass(frozen=True)
class Passage:
    """One line of the table, in instructions."""

    door: str
    payload: str
    before: int
    """Until the lift begins: the entry, and what the door reads."""
    lift: int
    """Until just before the jump: finding, checking, copying, tables."""
    jump: int

    @property
    def total(self) -> int:
        """From the loader's first instruction to the kernel's."""
        return self.before + self.lift + self.jump


def verdict(number: int, budget: int) -> str:
    """Whether a number stays within its budget."""
    return f"ok, {budget - number:,} left" if number <= budget else f"OVER by {number - budget:,}"


def main() -> dict[str, object]:
    """Measure and print; what was measured, for the file."""
    console = Console()
    sizes = list(file_sizes())
    console.print(size_table(sizes))
    with tempfile.TemporaryDirectory() as folder:
        passages = list(measure_all(Path(folder)))
    console.print(passage_table(passages))
    console.print(aim_of(passages))
    return {
        "files": [asdict(each) for each in sizes],
        "passages": [asdict(each) | {"instructions": each.total} for each in passages],
    }


def file_sizes() -> Iterator[FileSize]:
    """The loader's files without payload."""
    for codecs, budget in (((), BARE_BYTES_MAX), (rocket.CODECS, FULL_BYTES_MAX)):
        for bits in (64, 32):
            size = len(rocket.loader(bits=bits, codecs=codecs).file)
            yield FileSize(f"ELF{bits}", ", ".join(codecs) or "none", size, budget)


def measure_all(folder: Path) -> Iterator[Passage]:
    """Each door with each payload."""
    kernel = folder / "kernel"
    kernel.write_bytes(own_kernel())
    bundle = folder / "bundle"
    Bundle(kernel=kernel, codec="none").build(bundle)
    modules = {"module": kernel, "bundle": bundle, "sealed": None}
    for door in DOORS:
        for payload in PAYLOADS:
            loader = folder / f"{payload}.elf{door.bits}"
            Loader(kernel=kernel if payload == "sealed" else None, elf32=door.bits == 32, codec="none").build(loader)
            yield measure(door, payload, loader, modules[payload])


def measure(door: Door, payload: str, loader: Path, module: Path | None) -> Passage:
    """Boot, and ask the machine that stands in the kernel."""
    machine = Machine(
        kernel=loader, initrd=module, machine=door.machine, memory=MEMORY, gdb=True, icount=0, debugcon=True
    )
    entry = entry_of(loader.read_bytes(), door)
    with machine.start() as guest, Stub(guest.gdb_port or 0) as stub:
        stub.run_to(entry)
        stub.write(CLOCK_CODE, clock_code(entry))
        stub.go_to(CLOCK_CODE)
        stub.resume()  # and no stop until the kernel: while a machine stands, its clock may go on
        wait_for_kernel(guest, ARRIVED)
        stub.halt()
        information = BootInformation.of(span(bytearray(stub.read(stub.register(RDI), sizeof(BootInformation)))))
        started = int.from_bytes(stub.read(information.direct_map + CLOCK, 8), "little")
        return passage_of(door.name, payload, started, information, stub.register(RBX))


def passage_of(door: str, payload: str, started: int, information: BootInformation, arrived: int) -> Passage:
    """Make sense of the time stamps."""
    if information.magic != MAGIC:
        raise ValueError("RDI points to no boot information")
    lift, kernel = information.stamps[4], information.stamps[5]
    return Passage(door, payload, lift - started, kernel - lift, arrived - kernel)


def entry_of(loader: bytes, door: Door) -> int:
    """The address of the loader's first instruction."""
    if door.name == PVH:
        return read_doors(loader).pvh_entry or 0
    return int(ELFFile(BytesIO(loader)).header.e_entry)


def clock_code(entry: int) -> bytes:
    """32-bit code that puts the time stamp counter to CLOCK and jumps to `entry`, all registers as they were."""
    code = b"".join(
        (
            b"\xa3" + struct.pack("<I", CLOCK + 8),  # mov [CLOCK + 8], eax
            b"\x89\x15" + struct.pack("<I", CLOCK + 12),  # mov [CLOCK + 12], edx
            b"\x0f\x31",  # rdtsc
            b"\xa3" + struct.pack("<I", CLOCK),  # mov [CLOCK], eax
            b"\x89\x15" + struct.pack("<I", CLOCK + 4),  # mov [CLOCK + 4], edx
            b"\xa1" + struct.pack("<I", CLOCK + 8),  # mov eax, [CLOCK + 8]
            b"\x8b\x15" + struct.pack("<I", CLOCK + 12),  # mov edx, [CLOCK + 12]
            b"\xe9",  # jmp entry
        )
    )
    return code + struct.pack("<i", entry - (CLOCK_CODE + len(code) + 4))


def size_table(sizes: Sequence[FileSize]) -> Table:
    """The files beside their budgets."""
    table = Table(title="The loader's files without payload, in bytes")
    for heading in ("file", "codecs", "size", "budget", ""):
        table.add_column(heading, justify="right" if heading in ("size", "budget") else "left")
    for each in sizes:
        table.add_row(each.file, each.codecs, str(each.size), str(each.budget), verdict(each.size, each.budget))
    return table


def passage_table(passages: Sequence[Passage]) -> Table:
    """The instructions beside their budget."""
    table = Table(title=f"Instructions from the loader's first to that of a kernel of {KERNEL_BYTES >> 10} KiB (TCG)")
    for heading in ("door", "payload"):
        table.add_column(heading)
    for heading in ("until lift", "lift", "jump", "all"):
        table.add_column(heading, justify="right")
    table.add_column(f"of {INSTRUCTIONS_MAX:,}")
    for each in passages:
        numbers = (f"{number:,}" for number in (each.before, each.lift, each.jump, each.total))
        table.add_row(each.door, each.payload, *numbers, verdict(each.total, INSTRUCTIONS_MAX))
    return table


def aim_of(passages: Sequence[Passage]) -> str:
    """Say how many reach what is aimed at."""
    reached = sum(each.total <= INSTRUCTIONS_AIM for each in passages)
    return f"{reached} of {len(passages)} reach the aim of {INSTRUCTIONS_AIM:,} instructions."

"""Any door, any payload: does each kernel start through each door, in each form, and find all that it was promised?

The hand-off guests assert it themselves (tests/support/guests); Linux tells what it sees. One row of the matrix is run
by `make test`: each door, each payload, each form once at least.
"""

import hashlib
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from xxhash import xxh64_intdigest

from bootslang.kernel import debian
from support import doors, handoff, linux
from support.doors import DOORS, Door, Form, Payload
from support.handoff import GUESTS, Guests

if TYPE_CHECKING:
    from bootslang import Machine

pytestmark = pytest.mark.machine

OWN_MIB = (64, 512, 6144)
LINUX_MIB = (512, 6144)
LINUX = {"bzimage": debian.cloud_kernel, "vmlinux": debian.cloud_vmlinux}
COMMAND_LINE = "words for the kernel a=1"
TSC = "tsc_early_khz=1000000"
"""On microvm Linux has the PIT alone to find this out by, fails where the host has other work, and hangs."""
DIRTY_MIB = 64
SLOWER = {doors.MULTIBOOT1_GRUB, doors.MULTIBOOT2_UEFI}
"""What they do is done by the others as well."""


class Cell(NamedTuple):
    """One of the matrix."""

    door: Door
    form: Form
    payload: str
    memory: int

    @property
    def name(self) -> str:
        return f"{self.door.name}-{self.form}-{self.payload}-{self.memory}"


ROW = {
    Cell(doors.BIOS, "disk", "low", 64),
    Cell(doors.BIOS, "disk", "vmlinux", 512),
    Cell(doors.MULTIBOOT1_QEMU, "module", "high", 64),
    Cell(doors.MULTIBOOT1_GRUB, "bundle", "pie", 64),
    Cell(doors.MULTIBOOT2_GRUB, "module", "bzimage", 512),
    Cell(doors.MULTIBOOT2_GRUB, "module", "slang", 64),
    Cell(doors.MULTIBOOT2_UEFI, "module", "vmlinux", 512),
    Cell(doors.MULTIBOOT2_UEFI, "sealed", "pie", 512),
    Cell(doors.PVH_Q35, "bundle", "bzimage", 512),
    Cell(doors.PVH_MICROVM, "sealed", "high", 6144),
}


def cells(payloads: tuple[str, ...], sizes: tuple[int, ...]) -> list[object]:
    """Every cell with these payloads; those that are not in the row are slow."""
    matrix = (Cell(*cell) for cell in every_cell(payloads, sizes))
    # The thin cut of a slow matrix keeps what is not slow, or its first case.
    ordered = sorted(matrix, key=lambda cell: (cell not in ROW, cell.name))
    return [pytest.param(cell, id=cell.name, marks=() if cell in ROW else pytest.mark.slow) for cell in ordered]


def every_cell(payloads: tuple[str, ...], sizes: tuple[int, ...]) -> Iterator[tuple[Door, Form, str, int]]:
    for door in DOORS:
        for form in door.forms:
            for payload in payloads:
                # PVH takes one module: Linux with an initrd comes as a bundle.
                if payload in LINUX and form == "module" and not door.module_texts:
                    continue
                yield from ((door, form, payload, memory) for memory in sizes)


@cache
def modules() -> dict[str, bytes]:
    """Files of lengths that are no multiple of anything."""
    noise = random.Random(7)
    return {"first": noise.randbytes(70_001), "second": noise.randbytes(3)}


def write_modules(folder: Path, door: Door, form: Form) -> list[Path]:
    """What goes with an own kernel; QEMU's PVH takes the kernel alone."""
    names = [] if form == "module" and not door.module_texts else list(modules())
    for name in names:
        (folder / name).write_bytes(modules()[name])
    return [folder / name for name in names]


@pytest.mark.parametrize("cell", cells(GUESTS, OWN_MIB))
def test_an_own_kernel(tmp_path: Path, guests: Guests, cell: Cell) -> None:
    files = write_modules(tmp_path, cell.door, cell.form)
    payload = Payload(guests.path(cell.payload), files, COMMAND_LINE)
    report = handoff.run(cell.door.machine(tmp_path, cell.form, payload, cell.memory))
    assert report.numbers("door") == [[cell.door.number]]
    assert report.text("door name").startswith(cell.door.own_name)
    assert report.text("command line") == COMMAND_LINE
    found = [(module.name, module.size, module.checksum) for module in report.modules]
    assert found == [(path.name, len(path.read_bytes()), xxh64_intdigest(path.read_bytes())) for path in files]


@pytest.mark.parametrize("cell", cells(tuple(LINUX), LINUX_MIB))
def test_linux(tmp_path: Path, cell: Cell) -> None:
    initrds = [tmp_path / "system.cpio", tmp_path / "further.cpio"]
    further = modules()["first"]
    initrds[0].write_bytes(linux.initramfs(debian.amd64_busybox(), before=b"in the first initrd"))
    initrds[1].write_bytes(linux.archive({"told/before": further}))
    line = f"{linux.COMMAND_LINE} {TSC}"
    payload = Payload(LINUX[cell.payload](), initrds, line)
    machine: Machine = cell.door.machine(tmp_path, cell.form, payload, cell.memory)
    report = linux.run(machine)
    assert report.value("command line") == f"[{line}]"
    assert report.sum_of("before") == hashlib.sha256(further).hexdigest()
    kib = int(report.value("memory").split()[1])
    assert 0.88 * cell.memory * 1024 < kib < cell.memory * 1024


@pytest.mark.parametrize(
    "door", [pytest.param(door, id=door.name, marks=pytest.mark.slow if door in SLOWER else ()) for door in DOORS]
)
def test_memory_that_was_not_zero(tmp_path: Path, guests: Guests, door: Door) -> None:
    """A machine's memory holds rubbish when it is switched on; QEMU's is zero, unless it comes from a file."""
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"\xa5" * (DIRTY_MIB << 20))
    payload = Payload(guests.path("pie"), command_line=COMMAND_LINE)
    machine = door.machine(tmp_path, "disk" if door is doors.BIOS else "bundle", payload, DIRTY_MIB)
    machine.machine += ",memory-backend=dirty"
    machine.arguments += (
        "-object",
        f"memory-backend-file,id=dirty,size={DIRTY_MIB}M,mem-path={rubbish},share=off",
    )
    assert handoff.run(machine).text("command line") == COMMAND_LINE

"""Whole boots, side by side: `python -m bench boots`.

Debian's cloud kernel as `bzImage` and as ELF, unpacked and packed, on three kinds of disk, in QEMU's TCG, with a small
initramfs of busybox. RUNS boots that are counted take turns with as many that are timed. Of the counted ones that is
shown whose BIOS waited least for the disk; the loader's own instructions are the same in all.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from bench.journey import DISKS, Disk, Journey, measure, patch_bzimage, patch_elf
from bootslang import busybox_initramfs, rocket
from bootslang.kernel.debian import amd64_busybox, cloud_kernel, cloud_vmlinux

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RUNS: Final = 3
CODECS: Final = ("none", "bzip2", "zstd")
COMMAND_LINE: Final = "clocksource=tsc console=ttyS0"
MILLION: Final = 1_000_000
PHASES: Final = ("stage1", "stage2", "stage3", "reading", "checking", "unpacking", "placing")


@dataclass(frozen=True)
class Payload:
    """A disk to boot, before it is attached."""

    kernel: str
    codec: str
    path: Path
    build_seconds: float


@dataclass(frozen=True)
class Boot:
    """One line of the tables."""

    kernel: str
    codec: str
    disk: str
    journey: Journey
    """Of the shortest run."""
    spread: int
    """By how much the loader's own instructions differed between the runs."""
    seconds: float
    """The median."""

    def as_json(self) -> dict[str, object]:
        """For the file."""
        return asdict(self) | {"instructions": self.journey.total, "own_instructions": self.journey.own}


def main() -> dict[str, object]:
    """Measure and print; what was measured, for the file."""
    console = Console()
    boots: list[Boot] = []
    with tempfile.TemporaryDirectory() as folder:
        payloads = list(build_all(Path(folder)))
        console.print(build_table(payloads))
        for payload in payloads:
            for disk in DISKS:
                console.print(f"booting {payload.kernel}, {payload.codec}, {disk.name}", style="dim")
                boots.append(boot(payload, disk))
    console.print(summary(boots))
    console.print(phase_table(boots))
    console.print(repetition(boots))
    return {
        "build_seconds": {f"{each.kernel}, {each.codec}": each.build_seconds for each in payloads},
        "boots": [each.as_json() for each in boots],
    }


def build_all(folder: Path) -> Iterable[Payload]:
    """Build each disk by the command, as a user does."""
    rocket.stages()  # compiled now, if they have to be
    initramfs = folder / "initramfs.cpio.gz"
    busybox_initramfs(amd64_busybox()).write(initramfs)
    kernels = {"bzImage": patch_bzimage(cloud_kernel().read_bytes()), "ELF": patch_elf(cloud_vmlinux().read_bytes())}
    for name, data in kernels.items():
        kernel = folder / name
        kernel.write_bytes(data)
        for codec in CODECS:
            path = folder / f"{name}-{codec}.img"
            command: list[str | Path] = [sys.executable, "-m", "bootslang", "build", "-k", kernel, "-i", initramfs]
            command += ["-c", COMMAND_LINE, "--codec", codec, path]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
            yield Payload(name, codec, path, time.perf_counter() - start)


def boot(payload: Payload, disk: Disk) -> Boot:
    """Boot as often as it takes."""
    counted: list[Journey] = []
    timed: list[float] = []
    for _ in range(RUNS):
        counted.append(measure(disk, payload.path, counting=True)[0])
        timed.append(measure(disk, payload.path, counting=False)[1])
    own = [each.own for each in counted]
    shortest = min(counted, key=lambda each: each.total)
    return Boot(payload.kernel, payload.codec, disk.name, shortest, max(own) - min(own), statistics.median(timed))


def repetition(boots: Sequence[Boot]) -> str:
    """Say how well the loader's own instructions repeat."""
    exact = sum(not each.spread for each in boots)
    said = f"The loader's own instructions were the same in {RUNS} runs in {exact} of {len(boots)} boots"
    if exact == len(boots):
        return f"{said}."
    worst = max(boots, key=lambda each: each.spread / each.journey.own)
    where = f"{worst.kernel}, {worst.codec}, {worst.disk}"
    return (
        f"{said}; the most that others differed by is {worst.spread:,} ({where}): interrupts, and the clock's second."
    )


def build_table(payloads: Sequence[Payload]) -> Table:
    """How long `bootslang build` takes."""
    table = Table(title="bootslang build, Python's start included")
    for heading in ("kernel", "codec", "seconds"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for each in payloads:
        table.add_row(each.kernel, each.codec, f"{each.build_seconds:.2f}")
    return table


def summary(boots: Sequence[Boot]) -> Table:
    """The boots as wholes."""
    table = boot_table("From the BIOS's jump to the kernel's first instruction (TCG)")
    for heading in ("instructions", "own", "in INT 13h", "calls", "reads", "KiB", "seconds"):
        table.add_column(heading, justify="right")
    for each in boots:
        found = each.journey
        numbers = (found.total, found.own, found.in_bios, found.calls, found.reads, found.sectors // 2)
        row = (f"{number:,}" for number in numbers)
        table.add_row(each.kernel, each.codec, each.disk, *row, f"{each.seconds:.3f}")
    return table


def phase_table(boots: Sequence[Boot]) -> Table:
    """The boots' parts."""
    table = boot_table("Millions of instructions in each phase, INT 13h included")
    for name in PHASES:
        table.add_column(name.replace("stage", "stage "), justify="right")
    for each in boots:
        values = asdict(each.journey)
        table.add_row(each.kernel, each.codec, each.disk, *(f"{values[name] / MILLION:.2f}" for name in PHASES))
    return table


def boot_table(title: str) -> Table:
    """A table whose first columns tell which boot."""
    table = Table(title=title)
    for heading in ("kernel", "codec", "disk"):
        table.add_column(heading)
    return table

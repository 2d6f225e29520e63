"""How large the boot loader's stages are and how long compiling them takes: `python -m bench stages`.

The compile time is that of all units by a compiler that has cached nothing, in a process of its own, as a developer's
first `make` pays it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from bootslang import rocket
from bootslang.boot.layout import BOOT_SECTOR_CODE_BYTES
from bootslang.image.loader import LoaderOptions, make_loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LOADER_BYTES_MAX: Final = 64 << 10
"""Stages 2 to 4 on one disk, with stage 4 in the width of its kernel."""
ANY_DISK: Final = LoaderOptions(sector_size=512, partition_bytes=64 << 20)
COMPILE: Final = "from bootslang.rocket import compile_units; compile_units()"


@dataclass(frozen=True)
class Size:
    """One line of the table, in bytes."""

    kernel: str
    """That of the disk: "64-bit" or "32-bit"."""
    codecs: str
    """Which ones the disk has beside `none`."""
    stage: str
    image: int
    in_memory: int | None
    on_disk: int
    budget: int | None

    @property
    def verdict(self) -> str:
        """Whether it stays within its budget, if it has one."""
        if self.budget is None:
            return ""
        left = self.budget - self.on_disk
        return f"ok, {left} left" if left >= 0 else f"OVER by {-left}"


def main() -> dict[str, object]:
    """Measure and print; what was measured, for the file."""
    console = Console()
    found = [size for bits in (64, 32) for codecs in ((), rocket.CODECS) for size in sizes(bits, codecs)]
    console.print(size_table(found))
    cold, cached = compile_seconds()
    console.print(
        f"Compiling all units: {cold:.1f} s, when nothing has changed {cached:.1f} s, Python's start included"
    )
    return {"sizes": [asdict(size) for size in found], "compile_seconds": {"cold": cold, "warm": cached}}


def sizes(bits: int, codecs: Iterable[str]) -> Iterator[Size]:
    """The stages of a disk with a kernel of this width and with these codecs, and stages 2 to 4 as one."""
    chosen = tuple(codecs)
    name = ", ".join(chosen) or "none"
    kernel = f"{bits}-bit"
    stages = rocket.stages(codecs=chosen, bits={bits})
    on_disk = [size.on_disk for size in make_loader(stages, ANY_DISK).sizes]
    for image, size in zip(stages.all(), on_disk, strict=True):
        budget = BOOT_SECTOR_CODE_BYTES if image is stages.stage1 else None
        yield Size(kernel, name, image.name, len(image.data), image.memory_bytes, size, budget)
    later = sum(len(image.data) for image in stages.all()[1:])
    yield Size(kernel, name, "stages 2 to 4", later, None, sum(on_disk[1:]), LOADER_BYTES_MAX)


def size_table(found: Sequence[Size]) -> Table:
    """The stages' sizes beside their budgets."""
    table = Table(title="Sizes in bytes; on the disk, stages 3 and 4 are packed")
    for heading in ("kernel", "codecs", "stage"):
        table.add_column(heading)
    for heading in ("image", "in memory", "on the disk", "budget"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for size in found:
        numbers = ("" if number is None else str(number) for number in (size.image, size.in_memory, size.on_disk))
        table.add_row(size.kernel, size.codecs, size.stage, *numbers, str(size.budget or ""), size.verdict)
    return table


def compile_seconds() -> tuple[float, float]:
    """The time with an empty cache, and that of a second run on the same cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {"BOOTSLANG_CACHE": cache}
        return elapsed(environment), elapsed(environment)


def elapsed(environment: dict[str, str]) -> float:
    """Seconds that a process takes which asks for every unit."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", COMPILE], check=True, env=os.environ | environment)  # noqa: S603 - our own
    return time.perf_counter() - start

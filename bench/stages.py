"""How large the boot loader's stages are and how long compiling them takes: `python bench/stages.py`.

A stage's size is that of its linked image with every codec in it. The compile time is that of all units by a compiler
that has cached nothing, in a process of its own, as a developer's first `make` pays it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from rich.console import Console
from rich.table import Table

from bootslang import rocket
from bootslang.boot.layout import BOOT_SECTOR_CODE_BYTES

LOADER_BYTES_MAX = 64 << 10
"""Stages 2 to 4, both widths, on one disk."""
COMPILE = "from bootslang.rocket import compile_units; compile_units()"


def main() -> None:
    """Measure and print."""
    console = Console()
    console.print(sizes())
    cold, cached = compile_seconds()
    console.print(
        f"Compiling all units: {cold:.1f} s, when nothing has changed {cached:.1f} s, Python's start included"
    )


def sizes() -> Table:
    """The stages' sizes beside their budgets."""
    stages = rocket.stages()
    table = Table(title="Sizes in bytes, linked, every codec included")
    for heading in ("stage", "image", "in memory", "budget"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for image in stages.all():
        budget = str(BOOT_SECTOR_CODE_BYTES) if image is stages.stage1 else ""
        table.add_row(image.name, str(len(image.data)), str(image.memory_bytes), budget)
    loader = sum(len(image.data) for image in stages.all()[1:])
    table.add_row("stages 2 to 4, as linked", str(loader), "", f"{LOADER_BYTES_MAX} on the disk")
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


if __name__ == "__main__":
    main()

"""Guests for the hand-off protocol: strict ones, built in each way a kernel can be linked, and what they tell.

`low`, `high` and `pie` are C (guests/strict), `slang` is Python (guests/strict_kernel.py). What each asserts stands in
its source; its report is the boot information, line by line.
"""

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from bootslang import Machine
from bootslang.boot import handoff
from bootslang.emulator import PASS
from bootslang.header import handoff_header
from bootslang.slang.emission import compile_file

FOLDER: Final = Path(__file__).parent / "guests"
SOURCES: Final = FOLDER / "strict"
NOTE: Final = "note.c"
"""Only the position-independent kernel has the note; the others are known by their addresses."""


@dataclass(frozen=True)
class Linking:
    """How the strict guest is linked."""

    base: int
    flags: tuple[str, ...]
    gap: int = 0x3000
    """Between two segments: pages that are not to be mapped."""


LINKINGS: Final = {
    # Where the loader itself is linked: it has to give way.
    "low": Linking(0x20_0000, ("-fno-pie", "-no-pie", "-static", "-Tstatic.ld"), gap=0),
    "high": Linking(0xFFFF_FFFF_8020_0000, ("-fno-pie", "-no-pie", "-static", "-mcmodel=kernel", "-Tstatic.ld")),
    "pie": Linking(0, ("-fpie", "-static-pie", "-Wl,-z,relro", "-Tpie.ld", NOTE)),
}
GUESTS: Final = (*LINKINGS, "slang")


@dataclass(frozen=True)
class Guests:
    """Each guest is built once, when it is first asked for."""

    folder: Path

    def path(self, name: str) -> Path:
        """The kernel's ELF file."""
        kernel = self.folder / f"{name}.elf"
        if not kernel.exists():
            if name == "slang":
                kernel.write_bytes(compile_file(FOLDER / "strict_kernel.py", target="kernel", emit="elf"))
            else:
                self._compile(LINKINGS[name], kernel)
        return kernel

    def _compile(self, linking: Linking, kernel: Path) -> None:
        (self.folder / "bootslang.h").write_text(handoff_header("c"))
        sources = sorted(path.name for path in SOURCES.glob("*.c") if path.name != NOTE)
        base = f"{linking.base:#x}"
        numbers = [f"-DLINKED_AT={base}", f"-Wl,--defsym=BASE={base},--defsym=GAP={linking.gap}"]
        command = ["gcc", "@flags", *linking.flags, *numbers, f"-I{self.folder}", *sources, "-o", str(kernel)]
        made = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr


@dataclass(frozen=True)
class Region:
    """A line of the memory map."""

    base: int
    size: int
    kind: int

    @property
    def end(self) -> int:
        return self.base + self.size


@dataclass(frozen=True)
class Module:
    """A file that came with the kernel."""

    physical: int
    size: int
    checksum: int
    name: str


@dataclass(frozen=True)
class BootReport:
    """What a strict guest has printed."""

    console: str

    def numbers(self, name: str) -> list[list[int]]:
        """The numbers behind a name, of each of its lines."""
        lines = re.findall(rf"^{re.escape(name)}((?: [0-9a-f]+)+)$", self.console, re.MULTILINE)
        return [[int(word, 16) for word in line.split()] for line in lines]

    def text(self, name: str) -> str:
        """The text in brackets behind a name."""
        found = re.search(rf"^{re.escape(name)} \[(.*)\]$", self.console, re.MULTILINE)
        assert found, f"the guest has told no {name!r}:\n{self.console[-3000:]}"
        return found[1]

    @cached_property
    def memory(self) -> list[Region]:
        return [Region(*line) for line in self.numbers("memory")]

    @cached_property
    def modules(self) -> list[Module]:
        lines = re.findall(r"^module (\w+) (\w+) (\w+) \[(.*)\]$", self.console, re.MULTILINE)
        return [Module(int(base, 16), int(size, 16), int(checksum, 16), name) for base, size, checksum, name in lines]

    @property
    def firmware_map(self) -> list[Region]:
        """The map as the firmware told it: what the loader and the kernel use is RAM, neighbours are one."""
        merged: list[Region] = []
        for region in self.memory:
            kind = handoff.MEMORY_RAM if region.kind >= handoff.MEMORY_LOADER else region.kind
            last = merged[-1] if merged else Region(0, 0, 0)
            if (last.end, last.kind) == (region.base, kind):
                merged[-1] = Region(last.base, last.size + region.size, kind)
            else:
                merged.append(Region(region.base, region.size, kind))
        return merged

    def bytes_of(self, *kinds: int) -> int:
        """How much memory of these kinds there is."""
        return sum(region.size for region in self.memory if region.kind in kinds)


def run(machine: Machine, timeout: float = 180) -> BootReport:
    """Boot a strict guest; it has to find all well."""
    outcome = machine.run(timeout=timeout)
    assert outcome.guest_code == PASS, outcome.describe() + "\n" + outcome.tail()
    return BootReport(outcome.console.replace("\r\n", "\n"))

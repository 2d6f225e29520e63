"""gdb on a machine that `Machine(gdb=True)` started: which files have the loader's symbols, and how gdb is called.

Each stage is a flat image on the disk; beside it the linker makes an ELF file of the same bytes at the same addresses,
with line numbers that lead to the Python source. These are written to the user's cache, named by their contents.

Stage 4 may be there twice, for CPUs with and without long mode, at the same addresses: a session loads the one that
will run. The loader that other loaders start is one image; its symbols are right where QEMU puts it.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from xxhash import xxh3_64_hexdigest

from bootslang.errors import InputInvalid
from bootslang.image import inspect
from bootslang.image.format import STAGE_LIFT32, STAGE_LIFT64, STAGE_NAMES
from bootslang.rocket import CODECS, Stages, loader_image, stages
from bootslang.slang.cache import default_directory
from bootslang.slang.link import Image

CPUS_WITHOUT_LONG_MODE: Final = frozenset(
    {"486", "athlon", "coreduo", "kvm32", "n270", "pentium", "pentium2", "pentium3", "qemu32"}
)
"""Of QEMU's models."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """What gdb is told."""

    symbols: tuple[Path, ...]
    """ELF files, one a stage, in the order in which they run."""
    sources: Path
    """The folder that the file names in them start from."""
    port: int
    fits: bool
    """Whether the disk's loader is this version's: else lines are not where gdb takes them to be."""

    def arguments(self) -> list[str]:
        """The command line of gdb."""
        commands = [
            "set architecture i386:x86-64",  # what QEMU's stub speaks, whatever mode the CPU is in
            f"directory {shlex.quote(str(self.sources))}",
            *(f"add-symbol-file {shlex.quote(str(path))}" for path in self.symbols),
            f"target remote 127.0.0.1:{self.port}",
        ]
        return ["gdb", "-q", "-iex", "set confirm off", *(word for line in commands for word in ("-ex", line))]

    def command(self) -> str:
        """The same as one line for a shell."""
        return shlex.join(self.arguments())


def session_for(disk: str | os.PathLike[str], port: int, *, cpu: str | None = None) -> Session:
    """A session for a machine that starts this disk, on a CPU model of QEMU's: with the codecs that its loader has."""
    boot = inspect(disk).boot
    chunks = [chunk for manifest in boot.manifests for blob in manifest.blobs for chunk in blob.chunks] if boot else []
    model = (cpu or "").split(",")[0]
    loader = boot.loader_slots[0].stages if boot else ()
    names = {stage.name for stage in loader}
    widths = {bits for bits, index in ((64, STAGE_LIFT64), (32, STAGE_LIFT32)) if STAGE_NAMES[index] in names}
    linked = stages(codecs={chunk.codec for chunk in chunks}, bits=widths)
    of_disk = [(stage.address, stage.memory) for stage in loader[1:]]
    ours = [(image.base, image.memory_bytes) for image in linked.all()[2:]]
    return session(linked, port, long_mode=model not in CPUS_WITHOUT_LONG_MODE, fits=of_disk == ours)


def session(linked: Stages, port: int, *, long_mode: bool = True, fits: bool = True) -> Session:
    """A session with the symbols of these stages.

    `long_mode`: whether the machine's CPU has it, so that the 64-bit stage 4 will run.
    """
    lift = linked.lift64 if long_mode and linked.lift64 else linked.lift32
    chosen = (linked.stage1, linked.stage2, linked.stage3, lift)
    return _session([image for image in chosen if image is not None], port, fits=fits)


def session_for_loader(loader: str | os.PathLike[str], port: int) -> Session | None:
    """A session for a machine that starts this file, if it is a loader of this version, whatever codecs it has."""
    file = Path(loader).read_bytes()
    named = [codec for codec in CODECS if f"{codec}: ".encode() in file]  # in its messages
    for count in reversed(range(len(named) + 1)):
        for codecs in combinations(named, count):
            image = loader_image(codecs=codecs)
            if image.data[image.entry - image.base : image.segments[0].end - image.base] in file:
                return _session([image], port, fits=True)
    return None


def _session(images: Sequence[Image], port: int, *, fits: bool) -> Session:
    folder = default_directory() / "symbols"
    try:
        symbols = tuple(_write(folder, image.name, image.elf) for image in images)
    except OSError as error:
        raise InputInvalid(
            f"The symbols cannot be written to {folder}: {error.strerror}.",
            hint="Set BOOTSLANG_CACHE to a directory that is yours.",
        ) from error
    return Session(symbols=symbols, sources=Path(__file__).parent.parent, port=port, fits=fits)


def _write(folder: Path, name: str, elf: bytes) -> Path:
    """Put a stage's ELF file where it stays while a gdb may read it: another version of it gets another name."""
    path = folder / f"{name}-{xxh3_64_hexdigest(elf)}.elf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(elf)
        beside.replace(path)
    return path

"""`Loader`: the boot loader as one ELF file, for whoever starts kernels: GRUB, QEMU, a machine monitor with PVH.

    Loader().build("bootslang.elf64")
    Loader(kernel="vmlinuz", initrds=["initrd.gz"], command_line="console=ttyS0").build("linux.elf64")

What it boots comes to it as modules, or is sealed in: a bundle (`bootslang.bundle`) in a segment of its own. The
command `bootslang loader` is a thin coat over this file.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootslang.bundle import Bundle, size_of, write
from bootslang.doors import read_doors
from bootslang.errors import UsageError
from bootslang.image.codecs import BY_NUMBER
from bootslang.image.contents import Contents, Progress, advancing
from bootslang.image.loader import StageSize
from bootslang.image.payload import Payload
from bootslang.image.report import BlobSize, blob_sizes
from bootslang.image.target import new_file
from bootslang.kernel import Kernel


@dataclass(frozen=True)
class LoaderReport:
    """What was written."""

    path: Path
    bits: Literal[32, 64]
    """Of the ELF file; the code in it is the same."""
    doors: tuple[str, ...]
    """By what it can be started, as read back from the file."""
    size: int
    """Of the file, in bytes."""
    loader: StageSize
    memory: StageSize
    """What the loader takes in the file, and in memory; both without what is sealed in."""
    blobs: tuple[BlobSize, ...]
    """What is sealed in."""
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"{self.path}: ELF{self.bits} for {', '.join(self.doors)}, {self.size} bytes"
        yield str(self.loader)
        yield str(self.memory)
        yield from map(str, self.blobs)
        yield from (f"warning: {warning}" for warning in self.warnings)


@dataclass(frozen=True, kw_only=True)
class Loader:
    """A loader to be built; what the fields of its payload mean is as for an `Image`."""

    elf32: bool = False
    """An ELF32, which Multiboot 1 takes too; else an ELF64."""
    kernel: str | os.PathLike[str] | Kernel | None = None
    """To be sealed in. Without one, the loader boots the modules that it is given."""
    initrds: Iterable[str | os.PathLike[str]] = ()
    command_line: str = ""
    codec: str = "auto"
    protocol: str = "auto"
    allow_wx: bool = False
    randomise: bool = False

    def build(self, path: str | os.PathLike[str], progress: Progress | None = None) -> LoaderReport:
        """Write the loader to `path`. A file that is there is replaced when all is written, and not before.

        Raises:
            BootslangError: One of its subclasses; nothing is left half-done.

        """
        from bootslang.rocket import LOADER_BYTES, LOADER_MEMORY, loader

        bits: Literal[32, 64] = 32 if self.elf32 else 64
        tell = progress or (lambda _what, _done, _total: None)
        contents = self._contents()
        with Payload() as payload:
            if contents:
                contents.pack(payload, tell)
            sealed_bytes = size_of(payload) if contents else 0
            linked = loader(bits=bits, codecs=_codecs(payload), sealed_bytes=sealed_bytes)
            size = len(linked.file) + sealed_bytes
            doors = read_doors(linked.file).names
            with new_file(Path(path), size) as medium:
                medium.write(0, linked.file)
                if contents:
                    write(payload, medium, len(linked.file), advancing(tell, "write", contents.size))
            return LoaderReport(
                path=Path(path),
                bits=bits,
                doors=doors,
                size=size,
                loader=StageSize("loader", len(linked.file), LOADER_BYTES),
                memory=StageSize("in memory", linked.memory_bytes, LOADER_MEMORY),
                blobs=blob_sizes(payload),
                warnings=contents.warnings if contents else (),
            )

    def _contents(self) -> Contents | None:
        initrds = tuple(self.initrds)
        if self.kernel is not None:
            bundle = Bundle(
                kernel=self.kernel,
                initrds=initrds,
                command_line=self.command_line,
                codec=self.codec,
                protocol=self.protocol,
                allow_wx=self.allow_wx,
                randomise=self.randomise,
            )
            return bundle.contents()
        if initrds or self.command_line:
            what = "an initrd" if initrds else "a command line"
            raise UsageError(
                f"The loader cannot have {what} sealed in without a kernel.",
                hint="Name the kernel as well, or hand them over as modules when the loader is started.",
            )
        return None


def _codecs(payload: Payload) -> set[str] | None:
    """Those that a sealed payload needs; None, which is all, where anything may come as a module."""
    numbers = {chunk.codec for blob in payload.blobs for chunk in blob.chunks}
    return {BY_NUMBER[number].name for number in numbers} or None

"""What a disk or a bundle boots: kernel, initrds and command line, read, checked against each other, and packed."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from bootslang.errors import ImageInvalid, UsageError
from bootslang.image import codecs
from bootslang.image import format as disk
from bootslang.image.codecs import Codec
from bootslang.image.payload import Advance, Content, Payload
from bootslang.kernel import Kernel, KernelKind

Progress = Callable[[str, int, int], None]
"""Called with what is being done ("pack", "write"), the bytes done and the bytes in all."""

_KINDS: Final = {
    KernelKind.ELF64: disk.KERNEL_ELF,
    KernelKind.ELF32: disk.KERNEL_ELF,
    KernelKind.BZIMAGE: disk.KERNEL_BZIMAGE,
}
MAX_INITRDS: Final = disk.MAX_BLOBS - 2


@dataclass(frozen=True)
class Contents:
    """The files of a generation, before they are packed."""

    kernel: Kernel
    initrds: tuple[tuple[Path, int], ...]
    """With their sizes in bytes."""
    command_line: bytes
    codec: Codec

    @classmethod
    def read(
        cls,
        kernel: str | os.PathLike[str] | Kernel,
        initrds: Iterable[str | os.PathLike[str]],
        command_line: str,
        codec: str,
    ) -> Self:
        """Look at all files, and at whether the kernel can take them."""
        chosen = codecs.choose(codec)
        found = kernel if isinstance(kernel, Kernel) else Kernel.read(Path(kernel))
        line = found.limits.check_command_line(command_line)
        sized = tuple((Path(initrd), _file_size(Path(initrd))) for initrd in initrds)
        if len(sized) > MAX_INITRDS:
            raise UsageError(f"There are {len(sized)} initrds; a manifest has room for {MAX_INITRDS}.")
        if sized:
            found.limits.check_initrd_size(sum(-(-size // 4) * 4 for _, size in sized))
        return cls(found, sized, line, chosen)

    @property
    def size(self) -> int:
        """What all of it has in bytes, unpacked: what the progress of packing and of writing counts to."""
        return self.kernel.blob_bytes + sum(size for _, size in self.initrds) + len(self.command_line)

    def pack(self, payload: Payload, progress: Progress) -> None:
        """Pack everything."""
        advance = advancing(progress, "pack", self.size)
        name = Path(self.kernel.file.name).name
        payload.add(Content(_KINDS[self.kernel.kind], name, self.kernel.pieces), self.codec, advance)
        for initrd, _ in self.initrds:
            payload.add(Content(disk.INITRD, initrd.name, partial(_read_pieces, initrd)), self.codec, advance)
        if self.command_line:
            content = Content(disk.COMMAND_LINE, disk.KIND_NAMES[disk.COMMAND_LINE], lambda: [self.command_line])
            payload.add(content, codecs.CODECS["none"], advance)


def advancing(progress: Progress, what: str, total: int) -> Advance:
    """Sum up what is done, and tell `progress`."""
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        progress(what, done, total)

    return advance


def _file_size(path: Path) -> int:
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "does not exist"
            raise ImageInvalid(f"The initrd {path} {what}.", hint="Name a file: a cpio archive, packed or not.")
        size = path.stat().st_size
    except OSError as error:
        raise ImageInvalid(f"The initrd {path} cannot be read: {error.strerror}.") from error
    if size == 0:
        raise ImageInvalid(f"The initrd {path} is empty.", hint="Leave it away, or name a cpio archive.")
    return size


def _read_pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(disk.CHUNK_BYTES):
                yield piece
    except OSError as error:
        raise ImageInvalid(f"The initrd {path} cannot be read: {error.strerror}.") from error

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
    KernelKind.HANDOFF: disk.KERNEL_HANDOFF,
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
    randomise: bool = False
    """Whether the kernel gets a random virtual base."""

    @classmethod
    def read(
        cls,
        kernel: str | os.PathLike[str] | Kernel,
        initrds: Iterable[str | os.PathLike[str]],
        command_line: str,
        codec: str,
        *,
        protocol: str = "auto",
        allow_wx: bool = False,
        randomise: bool = False,
    ) -> Self:
        """Look at all files, and at whether the kernel can take them."""
        chosen = codecs.choose(codec)
        found = _read_kernel(kernel, protocol, allow_wx=allow_wx)
        if randomise and not (found.handoff and found.handoff.position_independent):
            raise UsageError(
                f"{found.file.name} cannot be put at a random address: it is no position-independent kernel of the"
                " hand-off protocol.",
                hint="Link it with `-static-pie`, or leave --randomise away. Linux does this by itself (KASLR).",
            )
        line = found.limits.check_command_line(command_line)
        sized = tuple((Path(initrd), _file_size(Path(initrd))) for initrd in initrds)
        if len(sized) > MAX_INITRDS:
            raise UsageError(f"There are {len(sized)} initrds; a manifest has room for {MAX_INITRDS}.")
        if sized:
            found.limits.check_initrd_size(sum(-(-size // 4) * 4 for _, size in sized))
        return cls(found, sized, line, chosen, randomise)

    @property
    def size(self) -> int:
        """What all of it has in bytes, unpacked: what the progress of packing and of writing counts to."""
        return self.kernel.blob_bytes + sum(size for _, size in self.initrds) + len(self.command_line)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about these files."""
        risks = self.kernel.handoff.risks if self.kernel.handoff else ()
        return (
            *(f"{self.kernel.file.name}: {risk}, which --allow-wx lets be" for risk in risks),
            *_names_cut(self.initrds if self.kernel.handoff else ()),
        )

    @property
    def _kernel_flags(self) -> int:
        """As the kernel's blob record has them."""
        risky = self.kernel.handoff is not None and self.kernel.handoff.risks
        return (disk.BLOB_ALLOW_WX if risky else 0) | (disk.BLOB_RANDOMISE if self.randomise else 0)

    def pack(self, payload: Payload, progress: Progress) -> None:
        """Pack everything."""
        advance = advancing(progress, "pack", self.size)
        name = Path(self.kernel.file.name).name
        kernel = Content(_KINDS[self.kernel.kind], name, self.kernel.pieces, self._kernel_flags)
        payload.add(kernel, self.codec, advance)
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


def _read_kernel(kernel: str | os.PathLike[str] | Kernel, protocol: str, *, allow_wx: bool) -> Kernel:
    if isinstance(kernel, Kernel):
        if protocol != "auto" or allow_wx:
            raise UsageError(
                "This kernel has been read already: protocol and allow_wx come too late.",
                hint="Give them to Kernel.read, or give the kernel's path.",
            )
        return kernel
    found = Kernel.read(Path(kernel), protocol=protocol, allow_wx=allow_wx)
    if allow_wx and found.handoff is None:
        raise UsageError(
            f"{kernel} is started by Linux's own protocol, which knows no W^X.",
            hint="Leave --allow-wx away; if this is no Linux, say --protocol handoff.",
        )
    return found


def _names_cut(initrds: Iterable[tuple[Path, int]]) -> Iterator[str]:
    for path, _ in initrds:
        kept = disk.short_name(path.name).decode()
        if kept != path.name:
            yield f"{path}: the kernel will know this module as {kept!r}, names have up to {disk.NAME_BYTES} bytes"


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

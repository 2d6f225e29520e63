"""Look at a file of which nobody has said what it is: a kernel, or a disk."""

import os
from pathlib import Path

from bootslang.errors import KernelInvalid, PartitionTableInvalid
from bootslang.image import DiskNode, inspect
from bootslang.kernel import Kernel


def identify(path: str | os.PathLike[str]) -> Kernel | DiskNode:
    """The kernel or the disk at `path`.

    Kernels are tried first: a bzImage ends its first sector with a disk's signature too.

    Raises:
        KernelInvalid: It is neither; the message says what it is instead.
        ImageInvalid: It is a disk, and cannot be read or has no sound partition table.

    """
    file = Path(path)
    if not file.is_file():
        return inspect(file)
    try:
        return Kernel.read(file, allow_wx=True)
    except KernelInvalid as no_kernel:
        try:
            return inspect(file)
        except PartitionTableInvalid:
            if _is_bootable(file):
                raise
            raise no_kernel from None


def _is_bootable(file: Path) -> bool:
    """Whether the first sector claims to be a disk's."""
    with file.open("rb") as opened:
        return opened.read(512)[510:] == b"\x55\xaa"

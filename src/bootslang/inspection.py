"""Look at a file of which nobody has said what it is: a kernel, a disk, or a bundle."""

import os
from pathlib import Path

from bootslang.errors import KernelInvalid, PartitionTableInvalid
from bootslang.image import BundleNode, DiskNode, inspect, inspect_bundle, is_bundle
from bootslang.kernel import Kernel


def identify(path: str | os.PathLike[str]) -> Kernel | DiskNode | BundleNode:
    """The kernel, disk or bundle at `path`.

    Of the first two, kernels are tried first: a bzImage ends its first sector with a disk's signature too.

    Raises:
        KernelInvalid: It is none of these; the message says what it is instead.
        ImageInvalid: It is a disk or a bundle, and cannot be read or has no sound partition table.

    """
    file = Path(path)
    if not file.is_file():
        return inspect(file)
    if is_bundle(file):
        return inspect_bundle(file)
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

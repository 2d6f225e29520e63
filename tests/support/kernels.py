"""Debian's kernels, and an initramfs for each: real ones to read, and to boot.

They come from Debian's package servers into the user's cache the first time, and from there ever after.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from bootslang.initramfs import busybox_initramfs
from bootslang.kernel.debian import (
    amd64_busybox,
    cloud_kernel,
    cloud_vmlinux,
    i386_busybox,
    i386_kernel,
    i386_vmlinux,
    modules,
)

__all__ = [
    "KERNELS",
    "amd64_busybox",
    "busybox_initrd",
    "cloud_kernel",
    "cloud_modules",
    "cloud_vmlinux",
    "i386_busybox",
    "i386_kernel",
    "i386_modules",
    "i386_vmlinux",
]

KERNELS = {
    "cloud bzImage": cloud_kernel,
    "cloud vmlinux": cloud_vmlinux,
    "i386 bzImage": i386_kernel,
    "i386 vmlinux": i386_vmlinux,
}


@cache
def cloud_modules(*names: str) -> tuple[Path, ...]:
    """Modules of the cloud kernel and what they need, in loading order; virtio-blk on PCI unless told otherwise."""
    return tuple(modules(cloud_kernel(), names or ("virtio_pci", "virtio_blk")))


@cache
def i386_modules(*names: str) -> tuple[Path, ...]:
    """Modules of the i386 kernel and what they need, in loading order; an IDE disk with ext4 unless told otherwise."""
    return tuple(modules(i386_kernel(), names or ("ata_piix", "sd_mod", "crc32c_generic", "ext4")))


def busybox_initrd(
    output: Path,
    *,
    bits: int = 64,
    modules: Sequence[Path] = (),
    files: Mapping[str, bytes | Path] | None = None,
    commands: str = "",
) -> Path:
    """Write the busybox initramfs to `output`. The 32-bit one (its init says i686) runs on 64-bit kernels as well."""
    busybox = i386_busybox() if bits == 32 else amd64_busybox()
    busybox_initramfs(busybox, modules=modules, files=files, commands=commands).write(output)
    return output

"""Make an initramfs: a directory as a newc archive (`archive`), or a small system that ends at a shell (`busybox`)."""

from bootslang.initramfs.archive import FILE_BYTES_MAX, PATH_BYTES_MAX, Initramfs, directory_initramfs
from bootslang.initramfs.busybox import busybox_initramfs, find_busybox, module_bytes

__all__ = [
    "FILE_BYTES_MAX",
    "PATH_BYTES_MAX",
    "Initramfs",
    "busybox_initramfs",
    "directory_initramfs",
    "find_busybox",
    "module_bytes",
]

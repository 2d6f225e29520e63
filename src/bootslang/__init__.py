"""Bootslang: an x86 boot loader written in Python, and what turns a kernel into a bootable disk.

The names below are the public interface. Each is loaded when it is first used, so that a command or a script that
builds images does not wait for what runs machines.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootslang.bundle import Bundle, BundleReport
    from bootslang.emulator import Drive, Ending, Guest, Machine, Outcome
    from bootslang.header import handoff_header
    from bootslang.image import BuildReport, Image, inspect, verify
    from bootslang.initramfs import Initramfs, busybox_initramfs, directory_initramfs
    from bootslang.inspection import identify
    from bootslang.kernel import Kernel
    from bootslang.loader import Loader, LoaderReport

    __version__: str

__all__ = [
    "BuildReport",
    "Bundle",
    "BundleReport",
    "Drive",
    "Ending",
    "Guest",
    "Image",
    "Initramfs",
    "Kernel",
    "Loader",
    "LoaderReport",
    "Machine",
    "Outcome",
    "__version__",
    "busybox_initramfs",
    "directory_initramfs",
    "handoff_header",
    "identify",
    "inspect",
    "verify",
]

_HOMES = {
    "BuildReport": "bootslang.image",
    "Bundle": "bootslang.bundle",
    "BundleReport": "bootslang.bundle",
    "Drive": "bootslang.emulator",
    "Ending": "bootslang.emulator",
    "Guest": "bootslang.emulator",
    "Image": "bootslang.image",
    "Initramfs": "bootslang.initramfs",
    "Kernel": "bootslang.kernel",
    "Loader": "bootslang.loader",
    "LoaderReport": "bootslang.loader",
    "Machine": "bootslang.emulator",
    "Outcome": "bootslang.emulator",
    "busybox_initramfs": "bootslang.initramfs",
    "directory_initramfs": "bootslang.initramfs",
    "handoff_header": "bootslang.header",
    "identify": "bootslang.inspection",
    "inspect": "bootslang.image",
    "verify": "bootslang.image",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'bootslang' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _version() -> str:
    """The installed version. Looking it up takes longer than all else here, so it waits until somebody asks."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("bootslang")
    except PackageNotFoundError:  # A checkout that is not installed.
        return "0"

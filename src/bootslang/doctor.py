"""What is installed on this host and what is missing: `bootslang doctor`, as a function.

A finding is fatal where disks cannot be built or started without what is missing; the rest is needed for single
features, and says which.
"""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Final

from bootslang.emulator.accelerator import kvm_verdict
from bootslang.emulator.qemu import HOW_TO_INSTALL, PROGRAM, qemu_version
from bootslang.errors import ToolMissing
from bootslang.image.ext4 import find_tool
from bootslang.initramfs import find_busybox
from bootslang.rocket import SHIPPED, UNITS

LIBRARIES: Final = {
    "click": "the command",
    "pyelftools": "ELF files",
    "qemu.qmp": "`run`",
    "rich": "`inspect`, and progress bars",
    "xxhash": "checksums",
}
_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked for."""

    name: str
    found: bool
    detail: str
    """Version and place, or why it counts as missing."""
    needed_for: str
    required: bool
    """Whether disks cannot be built or started without it."""
    remedy: str = ""
    """How to get it."""

    @property
    def fatal(self) -> bool:
        """It is required, and missing."""
        return self.required and not self.found

    def lines(self) -> Iterator[str]:
        """The finding as text: `ok`, `no` for what can be done without, `MISSING` for what cannot."""
        verdict = "ok" if self.found else "MISSING" if self.required else "no"
        yield f"{verdict:7} {self.name}: {self.detail}"
        if not self.found:
            yield f"{'':7}   needed for {self.needed_for}"
            if self.remedy:
                yield f"{'':7}   {self.remedy}"


def examine() -> list[Finding]:
    """Look for everything that Bootslang uses."""
    return [
        _python(),
        *(_library(name, use) for name, use in LIBRARIES.items()),
        *_boot_code(),
        _qemu(),
        _kvm(),
        _ext4_tool("mke2fs"),
        _ext4_tool("debugfs"),
        _busybox(),
        _gdb(),
    ]


def _python() -> Finding:
    host = f"{platform.system()} on {platform.machine()}"
    return Finding(
        name="Python",
        found=sys.version_info >= (3, 11),
        detail=f"{platform.python_version()}, {host}, {sys.executable}",
        needed_for="everything",
        required=True,
        remedy="Install Python 3.11 or newer.",
    )


def _library(name: str, use: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    return Finding(
        name=name,
        found=bool(version),
        detail=version or "not installed",
        needed_for=use,
        required=True,
        remedy=f"Install it: `pip install {name}`.",
    )


def _boot_code() -> Iterator[Finding]:
    """The boot code comes with the package, or llvmlite compiles it."""
    folder = resources.files("bootslang").joinpath(SHIPPED)
    shipped = all(folder.joinpath(f"{unit.name}.o").is_file() for unit in UNITS)
    yield Finding(
        name="boot code",
        found=True,
        detail="compiled, in the package" if shipped else "source, compiled when it is needed",
        needed_for="`build`",
        required=True,
    )
    compiler = _library("llvmlite", "`compile` and `check`" if shipped else "`build`, since this is a source checkout")
    yield Finding(
        name="llvmlite",
        found=compiler.found,
        detail=compiler.detail,
        needed_for=compiler.needed_for,
        required=not shipped,
        remedy="Install it: `pip install 'bootslang[compile]'`.",
    )


def _qemu() -> Finding:
    found = shutil.which(PROGRAM)
    version = ".".join(map(str, qemu_version(found))) if found else ""
    return Finding(
        name="QEMU",
        found=found is not None,
        detail=f"{version}, {found}" if found else f"{PROGRAM} is not installed",
        needed_for="`run`",
        required=True,
        remedy=HOW_TO_INSTALL,
    )


def _kvm() -> Finding:
    try:
        verdict = kvm_verdict(fresh=True)
        usable, reason = verdict.usable, verdict.reason
    except ToolMissing:
        usable, reason = False, "not tried without QEMU"
    return Finding(
        name="KVM",
        found=usable,
        detail=reason,
        needed_for="machines at full speed; without it QEMU translates (TCG)",
        required=False,
    )


def _busybox() -> Finding:
    try:
        found, detail = True, str(find_busybox())
    except ToolMissing as error:
        found, detail = False, error.message
    return Finding(
        name="busybox",
        found=found,
        detail=detail,
        needed_for="`initramfs --busybox`",
        required=False,
        remedy=_install("busybox-static"),
    )


def _ext4_tool(name: str) -> Finding:
    try:
        path = find_tool(name)
    except ToolMissing:
        path = ""
    return _program(name, path, "-V", "`build --root`", "e2fsprogs")


def _gdb() -> Finding:
    return _program("gdb", shutil.which("gdb") or "", "--version", "stepping through boot code (`run --gdb`)", "gdb")


def _program(name: str, path: str, version_option: str, use: str, package: str) -> Finding:
    return Finding(
        name=name,
        found=bool(path),
        detail=f"{_version(path, version_option)}, {path}" if path else "not installed",
        needed_for=use,
        required=False,
        remedy=_install(package),
    )


def _version(program: str, option: str) -> str:
    """The first number with dots in what a program says of itself."""
    try:
        said = subprocess.run(  # noqa: S603
            [program, option],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "version unknown"
    version = re.search(r"\d+(?:\.\d+)+", said.stdout + said.stderr)
    return version[0] if version else "version unknown"


def _install(package: str) -> str:
    return f"Install it with your system's packages: `apt install {package}` (Debian, Ubuntu)."

"""Whether anything on this host uses an image file or a block device: mounts, swap, holders, loop devices.

Linux tells in /proc and /sys; elsewhere there is nothing to ask, and opening the device exclusively has to do.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bootslang.errors import TargetRefused

PROC: Final = Path("/proc")
SYS: Final = Path("/sys")


def refuse_if_used(path: Path, *, proc: Path = PROC, sys: Path = SYS) -> None:
    """Raise `TargetRefused` if `path`, or a partition of it, is mounted or held by something."""
    try:
        status = path.stat()
    except OSError:
        return
    if stat.S_ISBLK(status.st_mode):
        devices = [(sys / "dev" / "block" / f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}").resolve()]
    else:
        devices = list(_loop_devices(path, sys))
    for device in devices:
        for part in _with_partitions(device):
            _refuse_part(path, part, proc)


def _loop_devices(path: Path, sys: Path) -> Iterator[Path]:
    """The loop devices whose backing file is `path`."""
    for backing in (sys / "block").glob("loop*/loop/backing_file"):
        try:
            if path.samefile(backing.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")):
                yield backing.parent.parent
        except OSError:
            continue  # the file behind it is deleted, or out of our sight


def _with_partitions(device: Path) -> Iterator[Path]:
    """A block device's directory in sysfs, and those of its partitions."""
    if device.is_dir():
        yield device
        yield from (entry.parent for entry in sorted(device.glob("*/partition")))


def _refuse_part(path: Path, part: Path, proc: Path) -> None:
    number = _read(part / "dev").strip()
    name = f"/dev/{part.name}"
    where = "" if path.name == part.name else f" (as {name})"
    for line in _read(proc / "self" / "mountinfo").splitlines():
        fields = line.split(" ")
        source = fields[fields.index("-") + 2] if "-" in fields and len(fields) > fields.index("-") + 2 else ""
        if len(fields) > 4 and (fields[2] == number or source == name):
            raise TargetRefused(f"{path} is mounted at {_unescaped(fields[4])}{where}.", hint="Unmount it first.")
    if any(line.split()[0] == name for line in _read(proc / "swaps").splitlines() if line.split()):
        raise TargetRefused(f"{path} is used as swap{where}.", hint="Switch it off first: swapoff.")
    holders = sorted(holder.name for holder in (part / "holders").glob("*"))
    if holders:
        raise TargetRefused(
            f"{path} is held by {', '.join(holders)}{where}.",
            hint="Close the RAID, LVM or dm-crypt device on it first.",
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _unescaped(path: str) -> str:
    """Mountinfo writes blanks and backslashes in octal."""
    return path.replace(r"\040", " ").replace(r"\011", "\t").replace(r"\012", "\n").replace(r"\134", "\\")

"""Where QEMU is, and which version."""

import re
import shutil
import subprocess
from functools import cache

from bootslang.errors import ToolMissing

PROGRAM = "qemu-system-x86_64"
HOW_TO_INSTALL = (
    "Install QEMU for x86: `apt install qemu-system-x86` (Debian, Ubuntu), `dnf install qemu-system-x86` (Fedora), "
    "`pacman -S qemu-system-x86` (Arch), `brew install qemu` (macOS)."
)


def find_qemu() -> str:
    """The path of QEMU for x86; ToolMissing says how to get it."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise ToolMissing(f"{PROGRAM} is not installed, and a machine cannot run without it", hint=HOW_TO_INSTALL)
    return found


@cache
def qemu_version(program: str) -> tuple[int, ...]:
    """The version of the QEMU at `program`, as (7, 2, 22); (0,) if it does not tell."""
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    found = re.search(r"version (\d+(?:\.\d+)*)", answer.stdout)
    return tuple(int(part) for part in found[1].split(".")) if found else (0,)

"""Does a 64-bit kernel start elsewhere, where the place that it prefers is taken?

Real memory maps leave that place free. So gdb holds the machine at stage 4's first instruction and takes a page there.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang import Machine
from bootslang.boot.context import RESERVED, BootContext, MemoryRange
from bootslang.boot.layout import CONTEXT, STAGE4
from bootslang.emulator import Guest
from bootslang.kernel import debian
from bootslang.slang import offsetof, sizeof
from support.linux import END, Guests, Report, initramfs

pytestmark = [pytest.mark.machine, pytest.mark.slow]

TAKEN = 0x110_0000
"""Inside any kernel that is linked to run at 16 MiB."""
LIMIT_SECONDS = 240
COUNT = CONTEXT + offsetof(BootContext, "reservation_count")
TABLE = CONTEXT + offsetof(BootContext, "reservations")
NUMBER = f"*(unsigned int *){COUNT}"
ENTRY = f"{TABLE} + {sizeof(MemoryRange)} * {NUMBER}"


def take_a_page(guest: Guest) -> None:
    """Let the machine run to stage 4, add a reservation there, and let it run on."""
    commands = [
        f"target remote 127.0.0.1:{guest.gdb_port}",
        f"hbreak *{STAGE4}",
        "continue",
        f"set *(unsigned long long *)({ENTRY}) = {TAKEN}",
        f"set *(unsigned long long *)({ENTRY} + {offsetof(MemoryRange, 'size')}) = 0x1000",
        f"set *(unsigned int *)({ENTRY} + {offsetof(MemoryRange, 'kind')}) = {RESERVED}",
        f"set {NUMBER} = {NUMBER} + 1",
        "delete",
        "detach",
    ]
    arguments = [argument for command in commands for argument in ("-ex", command)]
    subprocess.run(["gdb", "-q", "-batch", "-nx", *arguments], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("kernel", [debian.cloud_vmlinux, debian.cloud_kernel], ids=["vmlinux", "bzImage"])
def test_a_64_bit_kernel_starts_above_where_its_place_is_taken(tmp_path: Path, kernel: Callable[[], Path]) -> None:
    disk = Guests(tmp_path).disk(kernel(), initramfs(debian.amd64_busybox()), codec="bzip2", verbose=True)
    with Machine(disk, accel="tcg", memory=256, gdb=True).start() as guest:
        take_a_page(guest)
        report = Report(guest.watch(expect=END, timeout=LIMIT_SECONDS).check().console)
    start = re.search(r"^kernel for (0x[0-9a-f]+), ", report.console, re.MULTILINE)
    assert start
    assert int(start[1], 16) > TAKEN
    assert int(start[1], 16) % 0x20_0000 == 0


def test_a_32_bit_vmlinux_says_who_has_its_place(tmp_path: Path) -> None:
    disk = Guests(tmp_path).disk(debian.i386_vmlinux())
    with Machine(disk, accel="tcg", memory=256, gdb=True).start() as guest:
        take_a_page(guest)
        guest.watch(expect=f"bytes at 0x1000000: {TAKEN:#x} is taken", timeout=LIMIT_SECONDS).check()

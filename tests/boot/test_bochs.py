"""Does a disk boot under Bochs, whose BIOS is neither SeaBIOS nor a relative of it?

Bochs executes one instruction after the other: the boot takes a minute or two.
"""

from pathlib import Path

import pytest

from bootslang.kernel import debian
from support.bochs import run_bochs
from support.linux import END, Guests, Report, initramfs

pytestmark = [pytest.mark.machine, pytest.mark.slow]

LIMIT_SECONDS = 600
COMMAND_LINE = "console=ttyS0 quiet panic=-1"
"""quiet: the serial port is as slow as its 115200 baud."""


def test_linux_reaches_user_space_under_bochs(tmp_path: Path) -> None:
    system = initramfs(debian.amd64_busybox())
    disk = Guests(tmp_path).disk(debian.cloud_kernel(), system, command_line=COMMAND_LINE)
    report = Report(run_bochs(disk, tmp_path, until=END, seconds=LIMIT_SECONDS))
    assert report.value("machine") == "x86_64"
    assert report.value("command line") == f"[{COMMAND_LINE}]"

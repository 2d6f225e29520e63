"""On a disk that is slow, does a progress bar show that the machine is alive, and is it complete at the end?"""

from pathlib import Path

import pytest

from bootslang.kernel import debian
from support.bios_disk import run
from support.linux import Guests, initramfs

pytestmark = pytest.mark.machine

BAR = "[" + "." * 50 + "]\r[" + "#" * 50 + "\r\n"


def test_a_bar_on_a_slow_disk(tmp_path: Path) -> None:
    disk = Guests(tmp_path).disk(debian.cloud_kernel(), initramfs(debian.amd64_busybox()))
    drive = f"file={disk},format=raw,if=ide,throttling.bps-read=4000000"
    outcome = run("-drive", drive, arguments=("-m", "256"), seconds=60, until="Linux version")
    assert BAR in outcome.text

"""Does a disk boot under Bochs, whose BIOS is neither SeaBIOS nor a relative of it?

Bochs executes one instruction after the other: the boot takes a minute or two.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootslang.kernel import debian
from support.linux import END, Guests, Report, initramfs

pytestmark = [pytest.mark.machine, pytest.mark.slow]

LIMIT_SECONDS = 600
COMMAND_LINE = "console=ttyS0 quiet panic=-1"
"""quiet: the serial port is as slow as its 115200 baud."""
CONFIGURATION = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=1, serial=1
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file="/usr/share/bochs/BIOS-bochs-latest"
vgaromimage: file="/usr/share/bochs/VGABIOS-lgpl-latest"
memory: guest=256, host=256
cpu: model=core2_penryn_t9600, count=1, ips=50000000, reset_on_triple_fault=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{disk}", mode=flat, cylinders=0
boot: disk
com1: enabled=1, mode=file, dev={console}
log: {log}
panic: action=fatal
error: action=report
"""
"""Without a speaker, since the plugin aborts where there is no sound; with a screen that nobody has to look at."""


@contextmanager
def bochs(disk: Path, console: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Bochs, booting `disk`, its COM1 written to `console`."""
    folder = console.parent
    (folder / "bochsrc").write_text(CONFIGURATION.format(disk=disk, console=console, log=folder / "bochs.log"))
    (folder / "commands").write_text("c\n")
    program = shutil.which("bochs-bin") or shutil.which("bochs")
    assert program, "Bochs is missing: see tools/setup"
    arguments = [program, "-q", "-f", str(folder / "bochsrc"), "-rc", str(folder / "commands")]
    with (folder / "bochs.out").open("wb") as output:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_linux_reaches_user_space_under_bochs(tmp_path: Path) -> None:
    system = initramfs(debian.amd64_busybox())
    disk = Guests(tmp_path).disk(debian.cloud_kernel(), system, command_line=COMMAND_LINE)
    console = tmp_path / "com1.txt"
    deadline = time.monotonic() + LIMIT_SECONDS
    text = ""
    with bochs(disk, console) as process:
        while END not in text and process.poll() is None and time.monotonic() < deadline:
            time.sleep(1)
            text = console.read_text(errors="replace") if console.exists() else ""
    assert END in text, (tmp_path / "bochs.out").read_text(errors="replace") + text[-3000:]
    report = Report(text)
    assert report.value("machine") == "x86_64"
    assert report.value("command line") == f"[{COMMAND_LINE}]"

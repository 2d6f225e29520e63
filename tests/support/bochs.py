"""Bochs without a screen to look at: another PC, whose BIOS is no relative of SeaBIOS. COM1 is the oracle."""

import shutil
import subprocess
import time
from pathlib import Path

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
com1: enabled=1, mode=file, dev={folder}/com1
log: {folder}/bochs.log
panic: action=fatal
error: action=report
"""
"""Without a speaker, since the plugin aborts where there is no sound."""


def run_bochs(disk: Path, folder: Path, *, until: str, seconds: float = 60) -> str:
    """Boot `disk` until COM1 has said `until`; return all that it has said. Time running out fails the test."""
    (folder / "bochsrc").write_text(CONFIGURATION.format(disk=disk, folder=folder))
    (folder / "commands").write_text("c\n")
    program = shutil.which("bochs-bin") or shutil.which("bochs")
    assert program, "Bochs is missing: see tools/setup"
    arguments = [program, "-q", "-f", str(folder / "bochsrc"), "-rc", str(folder / "commands")]
    with (folder / "bochs.out").open("wb") as output:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    end = time.monotonic() + seconds
    try:
        while until not in said(folder) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
    finally:
        process.kill()
        process.wait()
    text = said(folder)
    assert until in text, (folder / "bochs.out").read_text(errors="replace") + text[-3000:]
    return text


def said(folder: Path) -> str:
    com1 = folder / "com1"
    return com1.read_text(errors="replace") if com1.exists() else ""

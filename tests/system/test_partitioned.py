"""Does installing into a disk that others have made leave their file system whole, and does the kernel mount it?

The disk is sfdisk's, the file system mke2fs's; e2fsck and Linux itself are asked. There is no initramfs: the cloud
kernel has drivers for NVMe and ext4 built in, and mounts the partition by its PARTUUID.
"""

import hashlib
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootslang import Image, Machine
from bootslang.kernel import debian
from support.disks import MIB, partitioned

pytestmark = pytest.mark.machine

SIGNATURE = 0xC0FFEE5A
ROOT_START = 64 * MIB
ROOT_BYTES = 32 * MIB
DISK_BYTES = ROOT_START + ROOT_BYTES + MIB
TABLE = f"""\
label: dos
label-id: {SIGNATURE:#x}
start=2048, size={(ROOT_START - MIB) // 512}, type=da, bootable
start={ROOT_START // 512}, size={ROOT_BYTES // 512}, type=83
"""
COMMAND_LINE = f"console=ttyS0 root=PARTUUID={SIGNATURE:08x}-02 ro init=/sbin/init panic=-1"
DATA = random.Random(5).randbytes(3 * MIB + 5)
END = "that is all of the second partition"
INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "root: $(/bin/busybox grep ' / ' /proc/mounts)"
echo "data: $(/bin/busybox sha256sum < /data)"
echo "{END}"
/bin/busybox sleep 1000
"""


@dataclass(frozen=True)
class Tools:
    """e2fsprogs, at work on a file system of its own before it goes into a partition."""

    file_system: Path

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            [f"/usr/sbin/{command[0]}", *command[1:], self.file_system],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    def make(self, tree: Path) -> None:
        """A file system with a system in it; /dev/console is made by debugfs, as only root may make one in a tree."""
        for name in ("bin", "dev", "proc", "sbin"):
            (tree / name).mkdir(parents=True)
        (tree / "bin/busybox").write_bytes(debian.amd64_busybox().read_bytes())
        (tree / "sbin/init").write_text(INIT)
        (tree / "data").write_bytes(DATA)
        for program in ("bin/busybox", "sbin/init"):
            (tree / program).chmod(0o755)
        self.file_system.write_bytes(b"")
        with self.file_system.open("r+b") as file:
            file.truncate(ROOT_BYTES)
        self.run("mke2fs", "-q", "-t", "ext4", "-d", tree)
        commands = tree.parent / "debugfs"
        commands.write_text("cd /dev\nmknod console c 5 1\n")
        self.run("debugfs", "-w", "-f", commands)

    def check(self) -> None:
        """The file system is whole; -n changes nothing, and -f believes no note that says so."""
        self.run("e2fsck", "-f", "-n")


def test_an_ext4_of_others_stays_whole_and_is_mounted_by_its_uuid(tmp_path: Path) -> None:
    tools = Tools(tmp_path / "ext4.img")
    tools.make(tmp_path / "tree")
    tools.check()
    made = tools.file_system.read_bytes()
    disk = tmp_path / "disk.img"
    partitioned(disk, DISK_BYTES, TABLE)
    with disk.open("r+b") as file:
        file.seek(ROOT_START)
        file.write(made)
    before = disk.read_bytes()

    for command_line in ("generation=1", COMMAND_LINE):
        Image(kernel=debian.cloud_kernel(), command_line=command_line).build(disk)

    after = disk.read_bytes()
    assert after[ROOT_START:] == before[ROOT_START:], "the partition and what follows it"
    assert after[440:MIB] == before[440:MIB], "the signature, the table, and what precedes the boot partition"
    tools.file_system.write_bytes(after[ROOT_START : ROOT_START + ROOT_BYTES])
    tools.check()

    outcome = Machine(disk, kind="nvme", memory=256, accel="tcg", snapshot=True).run(expect=END, timeout=240).check()
    assert "root: /dev/root / ext4 ro" in outcome.console
    assert f"data: {hashlib.sha256(DATA).hexdigest()}" in outcome.console

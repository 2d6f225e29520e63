"""Does the busybox system do what it promises? QEMU's own loader boots it, so that nothing else is in question."""

import re
import subprocess
from pathlib import Path

import pytest

from bootslang import Drive, Ending, Machine
from support.kernels import busybox_initrd, cloud_kernel, cloud_modules

pytestmark = pytest.mark.machine

MIB = 1 << 20
PARTITION_UUID = "12345678-9ABC-DEF0-1234-56789ABCDEF0"
TABLES = {
    "mbr": ("label: dos\nlabel-id: 0xdeadbeef\nstart=2048, size=2048\nstart=4096\n", "deadbeef-02"),
    "gpt": (f"label: gpt\nstart=2048, size=2048\nstart=4096, uuid={PARTITION_UUID}\n", PARTITION_UUID),
}


def disk_with_root(path: Path, table: str) -> None:
    """A disk whose second partition is ext4 with a file `hello`."""
    tree = path.with_suffix(".root")
    tree.mkdir()
    (tree / "hello").write_text("from-the-partition\n")
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    subprocess.run(["/usr/sbin/sfdisk", "-q", path], input=table, text=True, check=True, capture_output=True)
    subprocess.run(
        ["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", f"offset={4096 * 512}", path, "24M"],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("kind", TABLES)
def test_banner_root_partition_and_power_off(tmp_path: Path, kind: str) -> None:
    """Does init tell kernel and time, mount what root=PARTUUID= names, start a shell, and power off at its end?"""
    table, uuid = TABLES[kind]
    disk_with_root(tmp_path / "disk.img", table)
    initrd = busybox_initrd(tmp_path / "initrd.gz", modules=cloud_modules(), commands="echo started: $(cat /mnt/hello)")
    machine = Machine(
        Drive(path=tmp_path / "disk.img", kind="virtio", boot_index=1),  # QEMU's loader has 0
        memory="256M",
        accel="tcg",
        arguments=[
            *("-kernel", str(cloud_kernel()), "-initrd", str(initrd)),
            *("-append", f"console=ttyS0 clocksource=tsc ro root=PARTUUID={uuid}"),
        ],
    )
    outcome = machine.run(
        script=[
            (re.compile("Bootslang booted Linux .*cloud-amd64 on x86_64"), ""),
            (re.compile(r"The kernel took \d+\.\d\d s to reach user space"), ""),
            ("/dev/vda2 is mounted on /mnt (ext4, ro)", ""),
            ("started: from-the-partition", ""),
            ("# ", "sleep 100 & jobs; echo prompts: $-; exit\n"),
            (re.compile(r"\[1\]\+\s+Running\s+sleep 100"), ""),
            (re.compile("prompts: .*m"), ""),  # job control
        ],
        timeout=120,
    )
    assert outcome.ending is Ending.POWERED_OFF, outcome.describe() + "\n" + outcome.console
    assert outcome.ok

"""Does a boot partition that begins below sector 2^32 and ends above it boot, with all that it holds beyond?"""

import struct
from pathlib import Path

import pytest

from bootslang import Image, Machine
from bootslang.kernel import debian
from support.linux import COMMAND_LINE, initramfs, run

pytestmark = pytest.mark.machine

FIRST_LBA = 2**32 - 1024
"""Half a MiB before the edge: the loader slots lie below it, manifest and blobs beyond."""
SECTORS = 1 << 18


def test_a_partition_across_the_edge_of_32_bits(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(3 << 40)
        file.seek(446)  # by hand: sfdisk makes no such partition, though the table can hold it
        file.write(struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0xDA, b"\xfe\xff\xff", FIRST_LBA, SECTORS))
        file.seek(510)
        file.write(b"\x55\xaa")
    initrd = tmp_path / "initrd"
    initrd.write_bytes(initramfs(debian.amd64_busybox()))
    Image(kernel=debian.cloud_kernel(), initrds=[initrd], command_line=COMMAND_LINE).build(disk)
    assert run(Machine(disk, accel="tcg", memory=256)).value("machine") == "x86_64"

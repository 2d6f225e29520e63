"""Is whatever lives in a partition recognised, from the magic bytes of each file system's own documentation?"""

import shutil
import subprocess
from pathlib import Path

import pytest

from bootslang.image.filesystems import recognise
from support.disks import MIB, MemoryDisk

SIZE = 8 * MIB

MAGIC = [
    ("an XFS file system", 0, b"XFSB\0\0\x10\0"),
    ("an NTFS file system", 0, b"\xeb\x52\x90NTFS    "),
    ("an exFAT file system", 0, b"\xeb\x76\x90EXFAT   "),
    ("a btrfs file system", 0x10040, b"_BHRfS_M"),
    ("a LUKS volume", 0, b"LUKS\xba\xbe\0\x02"),
    ("an LVM physical volume", 512, b"LABELONE"),
    ("a squashfs file system", 0, b"hsqs"),
    ("an ISO 9660 file system", 32768, b"\x01CD001\x01"),
    ("an F2FS file system", 1024, b"\x10\x20\xf5\xf2"),
    ("an EROFS file system", 1024, b"\xe2\xe1\xf5\xe0"),
    ("a Linux RAID member", 4096, b"\xfc\x4e\x2b\xa9"),
    ("a Linux RAID member", SIZE - 0x2000, b"\xfc\x4e\x2b\xa9"),
    ("a Linux RAID member", SIZE - 0x10000, b"\xfc\x4e\x2b\xa9"),
    ("a BitLocker volume", 0, b"\xeb\x58\x90-FVE-FS-"),
    ("a ZFS pool member", 0x20000 + 5 * 1024, b"\x0c\xb1\xba\0\0\0\0\0"),
]


@pytest.mark.parametrize(("name", "offset", "magic"), MAGIC)
def test_magic_bytes_are_recognised(name: str, offset: int, magic: bytes) -> None:
    data = bytearray(SIZE)
    data[offset : offset + len(magic)] = magic
    assert recognise(MemoryDisk(data)) == name


MAKERS = [
    (["mke2fs", "-q", "-F", "-t", "ext2"], "an ext2, ext3 or ext4 file system"),
    (["mke2fs", "-q", "-F", "-t", "ext4"], "an ext2, ext3 or ext4 file system"),
    (["mkfs.vfat", "-F", "12"], "a FAT file system"),
    (["mkfs.vfat", "-F", "16"], "a FAT file system"),
    (["mkfs.vfat", "-F", "32", "-s", "1"], "a FAT file system"),
    (["mkfs.minix"], "a minix file system"),
    (["mkswap", "-q"], "a swap area"),
]


@pytest.mark.parametrize(("command", "name"), MAKERS)
def test_what_the_makers_of_file_systems_make_is_recognised(tmp_path: Path, command: list[str], name: str) -> None:
    maker = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin")
    assert maker, f"{command[0]} is not installed (dosfstools, e2fsprogs, util-linux)"
    partition = tmp_path / "partition"
    with partition.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run([maker, *command[1:], partition], check=True, capture_output=True)
    assert recognise(MemoryDisk(bytearray(partition.read_bytes()))) == name


def test_fat_without_its_name_is_recognised_by_its_parameter_block() -> None:
    data = bytearray(SIZE)
    data[0:3] = b"\xeb\x3c\x90"
    data[11:14] = b"\0\x02\x04"
    data[16] = 2
    data[21] = 0xF8
    data[510:512] = b"\x55\xaa"
    assert recognise(MemoryDisk(data)) == "a FAT file system"


@pytest.mark.parametrize("size", [512, 4096, 0x9_0000, SIZE])
def test_an_empty_partition_is_empty(size: int) -> None:
    assert recognise(MemoryDisk(bytearray(size))) is None
    assert recognise(MemoryDisk(bytearray(b"\xff" * size))) is None

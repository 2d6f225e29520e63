"""Is a file that is no kernel named for what it is, with what to do instead?"""

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bootslang.errors import KernelInvalid
from bootslang.initramfs import Initramfs
from bootslang.kernel import Kernel
from bootslang.kernel.payload import zstd_module
from support.payloads import bzimage

zstd: Any = zstd_module()
INITRAMFS_HINT = "Give it as the initrd (`-i`), and the kernel beside it (`-k`)."
UNPACK = "Unpack it first, and give what comes out."


def named(file: bytes) -> tuple[str, str]:
    """What the error says the file is, and the hint."""
    with pytest.raises(KernelInvalid) as caught:
        Kernel.read(file, name="FILE")
    before, after = "FILE is no kernel that can be booted: it is ", "."
    assert caught.value.message.startswith(before)
    return caught.value.message.removeprefix(before).removesuffix(after), caught.value.hint


def initramfs(*, compress: bool = False) -> bytes:
    archive = Initramfs()
    archive.add_file("init", b"#!/bin/sh\n", 0o755)
    return archive.to_bytes(compress=compress)


def at(offset: int, mark: bytes, size: int = 0x1_2000) -> bytes:
    """A file of zeros but for a mark."""
    return bytes(offset) + mark + bytes(max(0, size - offset - len(mark)))


def portable_executable(*, machine: int = 0x8664, subsystem: int = 10, section: bytes = b".text") -> bytes:
    head = bytearray(0x200)
    head[:2], head[0x3C] = b"MZ", 0x80
    struct.pack_into("<4sHHIIIH", head, 0x80, b"PE\0\0", machine, 1, 0, 0, 0, 0xF0)
    head[0x80 + 0x5C] = subsystem
    head[0x80 + 24 + 0xF0 : 0x80 + 24 + 0xF0 + len(section)] = section
    return bytes(head)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (initramfs(), "an initramfs (cpio)"),
        (initramfs(compress=True), "an initramfs (cpio, gzip)"),
        (bz2.compress(initramfs()), "an initramfs (cpio, bzip2)"),
        (lzma.compress(initramfs()), "an initramfs (cpio, xz)"),
        (lzma.compress(initramfs(), lzma.FORMAT_ALONE), "an initramfs (cpio, lzma)"),
        (zstd.compress(initramfs()), "an initramfs (cpio, zstd)"),
    ],
)
def test_an_initramfs_is_named_whatever_it_is_packed_with(file: bytes, what: str) -> None:
    assert named(file) == (what, INITRAMFS_HINT)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (b"", "an empty file"),
        (bytes(5000), "nothing but zeros, at least in its first 5,000 bytes"),
        (b"#!/bin/sh\necho\n", "a script"),
        (b"Title: \xc3\xa9t\xc3\xa9\n", "a text file"),
        (("é" * 3000).encode(), "a text file"),
        (b"\x01\x02\x03\x04", "data of no known kind, beginning with 01 02 03 04"),
        (b"text\xff", "data of no known kind, beginning with 74 65 78 74 ff"),
        (gzip.compress(b"\x7fELF", mtime=0), "a gzip-compressed file that holds the beginning of an ELF file"),
        (at(0x38, b"ARM\x64"), "an arm64 Image"),
        (at(0x38, b"RSC\x05"), "a RISC-V Image"),
        (at(0x24, b"\x18\x28\x6f\x01"), "an ARM zImage"),
        (at(0, b"\x27\x05\x19\x56"), "a U-Boot image (uImage)"),
        (at(0, b"\xd0\x0d\xfe\xed"), "a device tree or a U-Boot FIT image"),
        (at(0, b"ANDROID!"), "an Android boot image"),
        (at(0x8001, b"CD001"), "a CD image (ISO 9660)"),
        (at(0x200, b"EFI PART"), "a disk image (GPT partition table)"),
        (at(0x1000, b"EFI PART"), "a disk image (GPT partition table, 4096-byte sectors)"),
        (at(0x438, b"\x53\xef"), "an ext2, ext3 or ext4 file system"),
        (at(0x1_0040, b"_BHRfS_M"), "a btrfs file system"),
        (at(0, b"hsqs"), "a squashfs file system"),
        (at(0x52, b"FAT32   "), "a FAT file system"),
        (at(0, b"QFI\xfb"), "a disk image (qcow2)"),
        (at(0x101, b"ustar"), "a tar archive"),
        (at(0, b"!<arch>\ndebian-binary"), "a Debian package"),
        (at(0, b"PK\x03\x04"), "a zip archive"),
        (at(0, b"\x02\x21\x4c\x18"), "a file compressed with lz4"),
        (at(0x1FE, b"\x55\xaa"), "a boot sector, or a Linux kernel from before 1995 (55 AA at 0x1FE without HdrS)"),
        (at(0, b"MZ"), "a DOS program (MZ)"),
        (b"MZ\0\0zimg" + bytes(64), "a compressed EFI kernel of another CPU (zboot)"),
        (portable_executable(), "an EFI application for x86-64"),
        (portable_executable(machine=0xAA64, subsystem=12), "an EFI driver for AArch64"),
        (portable_executable(machine=0x1234, subsystem=2), "a Windows program for machine number 0x1234"),
        (portable_executable(section=b".linux"), "a unified kernel image (EFI application for x86-64)"),
    ],
)
def test_files_of_many_kinds(file: bytes, what: str) -> None:
    found, hint = named(file)
    assert found == what
    assert hint


def test_disk_images_with_a_partition_table() -> None:
    """Is an MBR disk told from a boot sector without partitions, and one with a GPT's protective entry as GPT?"""
    sector = bytearray(512)
    sector[510:] = b"\x55\xaa"
    sector[0x1BE + 4] = 0x83
    assert named(bytes(sector))[0] == "a disk image (MBR partition table)"
    sector[0x1BE + 4] = 0xEE
    assert named(bytes(sector))[0] == "a disk image (GPT partition table)"


def test_compressed_files_are_looked_into() -> None:
    """Is what is packed named too, and a packed vmlinux told how to become one?"""
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0" + bytes(100)
    assert named(gzip.compress(elf)) == ("a gzip-compressed ELF file, perhaps a vmlinux", UNPACK)
    assert named(gzip.compress(at(0x101, b"ustar")))[0] == "a gzip-compressed file that holds a tar archive"
    assert named(gzip.compress(bzimage()))[0].startswith("a gzip-compressed file that holds ")
    assert named(gzip.compress(b"")) == ("a file compressed with gzip", UNPACK)
    assert named(b"\x1f\x8b" + b"\xff" * 30) == ("a file compressed with gzip, and damaged", UNPACK)
    assert named(b"\x28\xb5\x2f\xfd" + b"\xff" * 30) == ("a file compressed with zstd, and damaged", UNPACK)


def test_what_is_compressed_twice_is_opened_once() -> None:
    """Does naming end for a file that holds itself?"""
    twice = gzip.compress(gzip.compress(initramfs()))
    assert named(twice)[0] == "a gzip-compressed file that holds a file compressed with gzip"


def test_a_dictionary_of_4_gib_is_not_allocated() -> None:
    """Is an lzma header that asks for all memory called damaged?"""
    assert named(b"\x5d\0\0\0\xf0" + b"\xff" * 40)[0] == "a file compressed with lzma, and damaged"


@pytest.mark.parametrize(
    ("tool", "what"),
    [
        (["mke2fs", "-q", "-t", "ext4"], "an ext2, ext3 or ext4 file system"),
        (["sfdisk", "-q"], "a disk image (MBR partition table)"),
    ],
)
def test_what_real_tools_made_is_named(tmp_path: Path, tool: list[str], what: str) -> None:
    """Does the table of marks hold for files that others wrote?"""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    program = shutil.which(tool[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert program
    subprocess.run([program, *tool[1:], path], input=b"label: dos\n2048,,L\n", check=True, capture_output=True)
    with pytest.raises(KernelInvalid) as caught:
        Kernel.read(path)
    assert caught.value.message == f"{path} is no kernel that can be booted: it is {what}."

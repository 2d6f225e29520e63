"""Does Linux boot from a BIOS disk, of each kind and width, and does it see what it was given?"""

import hashlib
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang import Image, Machine
from bootslang.kernel import debian
from support.linux import COMMAND_LINE, Guests, Report, archive, fails, initramfs, run

pytestmark = pytest.mark.machine

MIB = 1 << 20
RANDOM = random.Random(1).randbytes(3 * MIB + 1)
SECOND = archive({"told/second": b"the second initrd"})
THIRD = archive({"told/third": b"the third initrd"})


@pytest.fixture
def guests(tmp_path: Path) -> Guests:
    return Guests(tmp_path)


def amd64(**told: bytes) -> bytes:
    return initramfs(debian.amd64_busybox(), **told)


def i386(**told: bytes) -> bytes:
    return initramfs(debian.i386_busybox(), **told)


def check(report: Report, architecture: str) -> None:
    """All that must hold of any boot with RANDOM and the two further initrds."""
    assert report.value("machine") == architecture
    assert report.value("command line") == f"[{COMMAND_LINE}]"
    assert report.sum_of("random") == hashlib.sha256(RANDOM).hexdigest()
    assert report.sum_of("second") == hashlib.sha256(b"the second initrd").hexdigest()
    assert report.sum_of("third") == hashlib.sha256(b"the third initrd").hexdigest()


SLOW_CODECS = [pytest.param(name, marks=pytest.mark.slow) for name in ("none", "gzip", "lzma")]


@pytest.mark.parametrize("codec", [*SLOW_CODECS, "bzip2", "deflate", "xz", "lz4", "zstd"])
def test_a_64_bit_vmlinux_boots(guests: Guests, codec: str) -> None:
    disk = guests.disk(debian.cloud_vmlinux(), amd64(random=RANDOM), SECOND, THIRD, codec=codec)
    check(run(Machine(disk, accel="tcg", memory=256)), "x86_64")


@pytest.mark.parametrize("codec", ["none", pytest.param("bzip2", marks=pytest.mark.slow)])
def test_a_64_bit_bzimage_boots(guests: Guests, codec: str) -> None:
    disk = guests.disk(debian.cloud_kernel(), amd64(random=RANDOM), SECOND, THIRD, codec=codec)
    check(run(Machine(disk, accel="tcg", memory=256)), "x86_64")


@pytest.mark.parametrize("cpu", ["pentium3", pytest.param("qemu64", marks=pytest.mark.slow)])
def test_a_32_bit_bzimage_boots_on_either_cpu(guests: Guests, cpu: str) -> None:
    disk = guests.disk(debian.i386_kernel(), i386(random=RANDOM), SECOND, THIRD)
    check(run(Machine(disk, accel="tcg", memory=256, cpu=cpu)), "i686")


@pytest.mark.parametrize("cpu", [pytest.param("pentium3", marks=pytest.mark.slow), "qemu64"])
def test_a_32_bit_vmlinux_boots_on_either_cpu(guests: Guests, cpu: str) -> None:
    disk = guests.disk(debian.i386_vmlinux(), i386(random=RANDOM), SECOND, THIRD, codec="bzip2")
    check(run(Machine(disk, accel="tcg", memory=256, cpu=cpu)), "i686")


@pytest.mark.parametrize("memory", [pytest.param("3G", marks=pytest.mark.slow), "1G"])
def test_an_initrd_goes_above_4_gib_where_there_is_no_room_below(guests: Guests, memory: str) -> None:
    disk = guests.disk(debian.cloud_kernel(), amd64(random=RANDOM, more=bytes(40 * MIB)), SECOND, THIRD)
    report = run(Machine(disk, accel="tcg", memory=memory, machine="q35,max-ram-below-4g=96M", kind="virtio"))
    check(report, "x86_64")
    assert struct.unpack_from("<I", report.zero_page, 0xC0)[0] >= 1, "ext_ramdisk_image"


@pytest.mark.parametrize(
    ("kernel", "memory", "codec"),
    [
        (debian.cloud_kernel, 81, "none"),
        pytest.param(debian.cloud_kernel, 81, "bzip2", marks=pytest.mark.slow),
        (debian.cloud_vmlinux, 79, "bzip2"),
        pytest.param(debian.cloud_vmlinux, 79, "none", marks=pytest.mark.slow),
    ],
)
def test_little_more_memory_than_qemu_itself_needs_is_enough(
    guests: Guests, kernel: Callable[[], Path], memory: int, codec: str
) -> None:
    disk = guests.disk(kernel(), amd64(), codec=codec)
    assert run(Machine(disk, accel="tcg", memory=memory)).value("machine") == "x86_64"


def test_the_kernel_keeps_a_complete_zero_page(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), amd64())
    report = run(Machine(disk, accel="tcg", memory=256, cpu="qemu64,+rdrand"))
    page = report.zero_page
    assert page[0x01] > 2, "the cursor stands below our lines"
    assert page[0x07], "columns"
    assert page[0x0E:0x10] == b"\x19\x01", "25 lines of VGA"
    assert page[0x1E8] >= 5, "e820"
    assert (page[0x1E9], page[0x1EA]) == (1, 1), "EDD and MBR signatures"
    assert page[0x1EF] == 0, "the sentinel"
    assert page[0x1FE:0x206] == b"\x55\xaa" + page[0x200:0x202] + b"HdrS"
    assert page[0x210] == 0xFF, "type_of_loader"
    assert struct.unpack_from("<I", page, 0x214)[0] == struct.unpack_from("<Q", page, 0x258)[0], (
        "at its preferred place"
    )
    assert struct.unpack_from("<I", page, 0x1E0)[0] > 200_000, "alt_mem_k"
    assert struct.unpack_from("<Q", page, 0x70)[0], "the RSDP"
    assert struct.unpack_from("<I", page, 0x290)[0] == struct.unpack("<I", disk.read_bytes()[440:444])[0]
    first = struct.unpack_from("<QQI", page, 0x2D0)
    assert first[0] == 0
    assert first[2] == 1
    assert report.value("setup data") == "0x9", "RNG_SEED"


def test_without_a_random_generator_there_is_no_seed(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), amd64())
    report = run(Machine(disk, accel="tcg", memory=256, cpu="qemu64"))
    assert "setup data: 0x9" not in report.console


def test_a_64_bit_kernel_on_a_32_bit_cpu_is_told(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel())
    message = "this processor has no long mode (64 bits), but this disk's kernel is a 64-bit one"
    fails(Machine(disk, accel="tcg", memory=256, cpu="pentium3"), message)


def test_a_disk_with_generations_of_both_widths(guests: Guests, tmp_path: Path) -> None:
    """Does the 64-bit stage 4 start a 32-bit kernel, and the 32-bit one say what is wrong with a 64-bit one?"""
    disk = guests.disk(debian.cloud_kernel(), bytes(32 * MIB))
    initrds = [tmp_path / name for name in ("1", "2", "3")]
    for path, content in zip(initrds, (i386(random=RANDOM), SECOND, THIRD), strict=True):
        path.write_bytes(content)
    report = Image(kernel=debian.i386_kernel(), initrds=initrds, command_line=COMMAND_LINE).build(disk)
    assert len(report.kept) == 2
    check(run(Machine(disk, accel="tcg", memory=256, cpu="qemu64")), "i686")
    Image(kernel=debian.cloud_kernel()).build(disk)
    message = "this is a 64-bit kernel, and this CPU has no long mode (64 bits): take a 32-bit kernel"
    fails(Machine(disk, accel="tcg", memory=256, cpu="pentium3"), message)


def test_too_little_memory_is_told_by_how_much(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel())
    fails(Machine(disk, accel="tcg", memory=48), "not enough memory for the kernel: ")


def test_an_initrd_larger_than_the_memory_is_told_by_how_much(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), bytes(64 * MIB), codec="bzip2")
    fails(Machine(disk, accel="tcg", memory=96), "not enough memory for the initrd: 65536 KiB are needed")


def test_a_32_bit_vmlinux_says_what_its_place_lacks(guests: Guests) -> None:
    disk = guests.disk(debian.i386_vmlinux())
    fails(Machine(disk, accel="tcg", memory=24), "they are not all RAM")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("vmlinuz", "kernel: chunk "),
        ("chunk table of vmlinuz", "is damaged (its checksum is wrong)"),
        ("initrd0", "initrd: chunk 0 of 1 is damaged (its checksum is wrong)"),
        ("chunk table of initrd0", "is damaged (its checksum is wrong)"),
        ("command line", "command line: chunk 0 of 1 is damaged (its checksum is wrong)"),
        ("manifest of generation 1", "no manifest to boot by: slot A is damaged (its checksum is wrong)"),
    ],
)
def test_a_flipped_bit_stops_the_boot_by_name(guests: Guests, part: str, message: str) -> None:
    disk = guests.disk(debian.cloud_kernel(), SECOND)
    place = guests.places[part]
    with disk.open("r+b") as file:
        file.seek(place.start + len(place) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x04]))
    fails(Machine(disk, accel="tcg", memory=256), message)

"""Does installing into a disk that exists touch nothing but what it has to, and refuse what it must not do?"""

import hashlib
import os
import struct
import subprocess
from pathlib import Path

import pytest

from bootslang.errors import BootslangError, NoRoom, PartitionTableInvalid, TargetRefused, UsageError
from bootslang.image import Image, builder, inspect, verify
from bootslang.image import format as disk
from bootslang.image.loader import OPTIONS, OPTIONS_SYMBOL, Stages
from support.disks import MIB, partitioned
from support.elf_writer import Elf
from support.payloads import bzimage

TABLE = """\
label: dos
label-id: 0xdeadbeef
start=2048, size=8192, type=da, bootable
start=12288, size=32768, type=83
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk with an empty active partition, and an ext4 file system with data in the second."""
    path = tmp_path / "disk.img"
    partitioned(path, 32 * MIB, TABLE)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "data").write_bytes(bytes(range(256)) * 4000)
    subprocess.run(
        ["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", f"offset={12288 * 512}", path, "16384k"],
        check=True,
        capture_output=True,
    )
    return path


def refusal(image: Image, path: Path) -> BootslangError:
    """Build, see it refused, and see not a byte changed."""
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(BootslangError) as caught:
        image.build(path)
    assert hashlib.sha256(path.read_bytes()).digest() == before
    return caught.value


def test_nothing_outside_the_active_partition_changes(tmp_path: Path, image: Path, kernel: Path) -> None:
    before = image.read_bytes()
    report = Image(kernel=kernel, command_line="root=PARTUUID=deadbeef-02").build(image)
    after = image.read_bytes()
    assert len(after) == len(before)
    assert after[440:512] == before[440:512]
    assert after[:440] != before[:440]
    assert after[512 : 2048 * 512] == before[512 : 2048 * 512]
    assert after[10240 * 512 :] == before[10240 * 512 :]
    assert report.disk_signature == 0xDEADBEEF
    second = tmp_path / "second"
    second.write_bytes(after[12288 * 512 :][: 32768 * 512])
    checked = subprocess.run(["/usr/sbin/e2fsck", "-fn", second], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert verify(image) == []


def test_the_reserved_word_of_sector_0_stays(image: Path, kernel: Path) -> None:
    with image.open("r+b") as file:
        file.seek(444)
        file.write(b"\x5a\x5a")
    Image(kernel=kernel).build(image)
    assert image.read_bytes()[444:446] == b"\x5a\x5a"


def test_a_symbolic_link_leads_to_its_disk(tmp_path: Path, image: Path, kernel: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(image)
    Image(kernel=kernel).build(link)
    assert link.is_symlink()
    assert verify(image) == []


def test_a_logical_partition_is_told_to_stage_1(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "disk.img"
    partitioned(
        image, 32 * MIB, "label: dos\nstart=2048, size=40960, type=5\nstart=4096, size=16384, type=da, bootable\n"
    )
    before = image.read_bytes()
    report = Image(kernel=kernel).build(image)
    assert report.partition.logical
    stage1 = builder.linked_stages((), frozenset({64})).stage1
    place = stage1.symbols[OPTIONS_SYMBOL] - stage1.base
    assert OPTIONS.unpack_from(image.read_bytes(), place) == (4096, 512, 64)
    assert image.read_bytes()[512 : 4096 * 512] == before[512 : 4096 * 512]
    assert verify(image) == []


def test_a_primary_partition_is_left_to_stage_1(image: Path, kernel: Path) -> None:
    Image(kernel=kernel).build(image)
    stage1 = builder.linked_stages((), frozenset({64})).stage1
    assert OPTIONS.unpack_from(image.read_bytes(), stage1.symbols[OPTIONS_SYMBOL] - stage1.base) == (0, 512, 64)


def test_the_loader_keeps_the_codecs_of_the_older_generation(
    image: Path, kernel: Path, initrd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    plain = builder.linked_stages

    def stages(codecs: tuple[str, ...], bits: frozenset[int]) -> Stages:
        asked.append(codecs)
        return plain(codecs, bits)

    monkeypatch.setattr(builder, "linked_stages", stages)
    for codec in ("bzip2", "none", "none", "none"):
        Image(kernel=kernel, initrds=[initrd], codec=codec).build(image)
        assert verify(image) == []
    assert asked == [("bzip2",), ("bzip2",), ("bzip2",), ()]


def test_a_disk_has_the_stages_4_of_its_kernels_widths(image: Path, kernel: Path) -> None:
    """Are both there as long as generations of both widths are, and else that of the kernel alone?"""
    narrow = image.with_name("i386")
    seen = []
    for content in (kernel, Elf(bits=32).build(), bzimage({"xloadflags": 0}), bzimage({"xloadflags": 0}), kernel):
        if isinstance(content, bytes):
            narrow.write_bytes(content)
        Image(kernel=narrow if isinstance(content, bytes) else content).build(image)
        assert verify(image) == []
        boot = inspect(image).boot
        assert boot is not None
        seen.append([stage.name[9:11] for stage in boot.loader_slots[0].stages if "stage 4" in stage.name])
    assert seen == [["64"], ["64", "32"], ["64", "32"], ["32"], ["64", "32"]]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (["mke2fs", "-q", "-F", "-t", "ext4"], "holds an ext2, ext3 or ext4 file system"),
        (["mkfs.vfat"], "holds a FAT file system"),
        (["mkfs.vfat", "-F", "32", "-s", "1", "-R", "32"], "holds a FAT file system"),
        (["mkswap"], "holds a swap area"),
    ],
)
def test_a_file_system_is_not_overwritten_unless_forced(
    tmp_path: Path, image: Path, kernel: Path, make: list[str], problem: str
) -> None:
    content = tmp_path / "content"
    with content.open("wb") as file:
        file.truncate(8192 * 512)
    subprocess.run([f"/usr/sbin/{make[0]}", *make[1:], content], check=True, capture_output=True)
    with image.open("r+b") as disk_file:
        disk_file.seek(MIB)
        disk_file.write(content.read_bytes())
    error = refusal(Image(kernel=kernel), image)
    assert isinstance(error, TargetRefused)
    assert error.message == f"Partition 1 of {image}, the active one, {problem}."
    Image(kernel=kernel, force=True).build(image)
    assert verify(image) == []
    assert Image(kernel=kernel).build(image).kept == (2, 1)


def patch(image: Path, offset: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_disk_without_an_active_partition_is_refused(image: Path, kernel: Path) -> None:
    patch(image, 446, b"\0")
    error = refusal(Image(kernel=kernel), image)
    assert isinstance(error, PartitionTableInvalid)
    assert error.message == "The disk has no active partition."
    assert error.hint == "Mark one with the boot flag, for example: sfdisk --activate DISK 1"


def test_an_active_extended_partition_is_refused(image: Path, kernel: Path) -> None:
    patch(image, 446 + 4, b"\x05")
    patch(image, MIB + 510, b"\x55\xaa")
    assert "The active partition 1 is the extended one" in refusal(Image(kernel=kernel), image).message


def test_a_gpt_is_refused_by_name(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "gpt.img"
    partitioned(image, 8 * MIB, "label: gpt\nsize=4MiB\n")
    assert "The disk has a GPT" in refusal(Image(kernel=kernel), image).message


def test_an_active_partition_that_is_too_small_says_by_how_much(image: Path, kernel: Path) -> None:
    patch(image, 446 + 12, struct.pack("<I", 1152 + 8))
    error = refusal(Image(kernel=kernel), image)
    assert isinstance(error, NoRoom)
    room = disk.DATA_OFFSET + 4096
    needed = disk.DATA_OFFSET + 0x2000 + -(-300_000 // 4096) * 4096
    assert error.message == (
        f"The content needs {needed} bytes, the boot partition has {room}: it is {needed - room} bytes too small."
    )
    patch(image, 446 + 12, struct.pack("<I", 96))
    assert f"it is {needed - 96 * 512} bytes too small." in refusal(Image(kernel=kernel), image).message


@pytest.mark.parametrize("size", [0, 100, 4096])
def test_a_file_that_is_no_disk_is_left_alone(tmp_path: Path, kernel: Path, size: int) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"n" * size)
    assert "There is no partition table" in refusal(Image(kernel=kernel), path).message


def test_options_for_new_images_are_refused(image: Path, kernel: Path, tmp_path: Path) -> None:
    for option in (Image(kernel=kernel, root=tmp_path), Image(kernel=kernel, disk_signature=5)):
        error = refusal(option, image)
        assert isinstance(error, UsageError)
        assert f"{image} exists; " in error.message
    assert "its size cannot be changed" in refusal(Image(kernel=kernel, size="64M"), image).message
    Image(kernel=kernel, size="32M").build(image)


def test_a_disk_that_another_build_is_writing_is_refused(image: Path, kernel: Path) -> None:
    import fcntl

    with image.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "is being written by another program" in refusal(Image(kernel=kernel), image).message


def test_a_partition_that_ends_above_two_to_the_32_sectors(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "huge.img"
    first, sectors = 0xFFFF_F000, 0x8000
    with image.open("wb") as file:
        file.truncate((first + sectors) * 512)
        file.write(bytes(446) + struct.pack("<B3xB3xII", 0x80, 0xDA, first, sectors) + bytes(48) + b"\x55\xaa")
    report = Image(kernel=kernel).build(image)
    assert max(write.offset for write in report.writes) + report.partition.offset > (1 << 32) * 512 // 2
    assert verify(image) == []
    assert image.stat().st_blocks * 512 < 4 * MIB


def test_installing_twice_is_the_same_on_equal_disks(tmp_path: Path, image: Path, kernel: Path) -> None:
    copy = tmp_path / "copy.img"
    copy.write_bytes(image.read_bytes())
    for path in (image, copy):
        Image(kernel=kernel).build(path)
        Image(kernel=kernel, command_line="again").build(path)
    assert image.read_bytes() == copy.read_bytes()


def test_a_failed_read_only_open_is_named(image: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.open

    def read_only(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR and Path(path) == image:
            raise PermissionError(13, "Permission denied")
        return plain(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    assert refusal(Image(kernel=kernel), image).message == f"{image} cannot be used: Permission denied."


def test_inspect_shows_both_generations(image: Path, kernel: Path) -> None:
    Image(kernel=kernel, command_line="one").build(image)
    Image(kernel=kernel, command_line="two").build(image)
    node = inspect(image)
    assert node.boot is not None
    assert node.boot.boots == 2
    assert [manifest.blobs[-1].text for manifest in node.boot.manifests] == ["one", "two"]

"""Does `build` make the image that was asked for, the same one every time, and refuse what cannot work?"""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bootslang.errors import BootslangError, ImageInvalid, KernelInvalid, NoRoom, TargetRefused, UsageError
from bootslang.image import Image, inspect, verify
from bootslang.image import format as disk
from bootslang.image.layout import parse_size
from bootslang.image.medium import FileMedium
from bootslang.kernel import Kernel
from support.disks import MIB


def test_a_new_image_boots_and_is_sound(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    image = tmp_path / "disk.img"
    report = Image(kernel=kernel, initrds=[initrd], command_line="console=ttyS0").build(image)
    assert verify(image) == []
    checked = subprocess.run(["/usr/sbin/sfdisk", "--verify", image], capture_output=True, text=True, check=True)
    assert "No errors detected" in checked.stdout
    dump = subprocess.run(["/usr/sbin/sfdisk", "-d", image], capture_output=True, text=True, check=True).stdout
    assert f"label-id: {report.disk_signature:#010x}" in dump
    assert "start=        2048" in dump
    assert "type=da, bootable" in dump
    told = subprocess.run(["file", "-b", image], capture_output=True, text=True, check=True).stdout
    assert "DOS/MBR boot sector" in told
    assert image.stat().st_size == report.size
    assert {path.name for path in tmp_path.iterdir()} == {"disk.img", "vmlinux", "initrd.gz"}


def test_the_report_says_what_was_written(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    report = Image(kernel=kernel, initrds=[initrd], command_line="quiet", codec="bzip2").build(tmp_path / "disk.img")
    lines = list(report.lines())
    assert "stage 1: 431 of 440 bytes" in lines
    assert "stage 2: 9005 of 32768 bytes" in lines
    assert "stage 4 (64-bit): 20000 of 229376 bytes, 20080 packed" in lines
    assert any(line.startswith("initrd initrd.gz: 2100000 bytes, packed ") for line in lines)
    assert report.codec == "bzip2"
    assert report.kept == (1,)
    assert report.warnings == ()
    assert [write.what for write in report.writes] == [
        "loader slot A",
        "loader slot B",
        "chunk table of vmlinux",
        "vmlinux",
        "chunk table of initrd.gz",
        "initrd.gz",
        "chunk table of command line",
        "command line",
        "manifest of generation 1",
        "boot code in sector 0",
    ]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    for codec in ("none", "bzip2"):
        one, other = tmp_path / f"{codec}1.img", tmp_path / f"{codec}2.img"
        for path in (one, other):
            Image(kernel=kernel, initrds=[initrd], command_line="quiet", codec=codec).build(path)
        assert one.read_bytes() == other.read_bytes()


def test_the_disk_signature_comes_from_the_contents_but_the_command_line(
    tmp_path: Path, kernel: Path, initrd: Path
) -> None:
    plain = Image(kernel=kernel).build(tmp_path / "1.img").disk_signature
    assert Image(kernel=kernel, command_line=f"root=PARTUUID={plain:08x}-02").build(
        tmp_path / "2.img"
    ).disk_signature == (plain)
    assert Image(kernel=kernel, initrds=[initrd]).build(tmp_path / "3.img").disk_signature != plain
    assert Image(kernel=kernel, disk_signature=0xCAFE).build(tmp_path / "4.img").disk_signature == 0xCAFE
    assert inspect(tmp_path / "4.img").disk_signature == 0xCAFE


def test_images_are_sparse(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "disk.img"
    Image(kernel=kernel, size="2G").build(image)
    status = image.stat()
    assert status.st_size == 2 << 30
    assert status.st_blocks * 512 < 600_000


def test_a_second_generation_fits_by_default(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    image = tmp_path / "disk.img"
    build = Image(kernel=kernel, initrds=[initrd])
    build.build(image)
    assert build.build(image).kept == (2, 1)
    assert build.build(image).kept == (3, 2)
    assert verify(image) == []


def test_a_given_size_is_the_disks(tmp_path: Path, kernel: Path) -> None:
    report = Image(kernel=kernel, size="64M").build(tmp_path / "disk.img")
    assert report.size == 64 * MIB
    assert report.partition.offset + report.partition.size == 64 * MIB


def test_a_disk_that_holds_one_generation_only_says_so(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "disk.img"
    report = Image(kernel=kernel, size="2M").build(image)
    (warning,) = report.warnings
    assert warning == "the partition has room for one generation: an update will have to give up the old one first"
    report = Image(kernel=kernel).build(image)
    assert "too small for two generations: the old one was made invalid before" in report.warnings[0]
    assert report.kept == (2,)
    assert verify(image) == []


def test_a_size_too_small_says_by_how_much(tmp_path: Path, kernel: Path) -> None:
    with pytest.raises(NoRoom) as caught:
        Image(kernel=kernel, size=MIB + disk.DATA_OFFSET).build(tmp_path / "disk.img")
    given = MIB + disk.DATA_OFFSET
    needed = given + 0x2000 + -(-300_000 // 4096) * 4096  # a chunk table, the ELF headers, the segment
    assert caught.value.message == (
        f"The content needs a disk of {needed} bytes; {given} are {needed - given} too few."
    )
    exact = Image(kernel=kernel, size=needed).build(tmp_path / "disk.img")
    assert exact.size == needed


@pytest.mark.parametrize(("text", "size"), [("512M", 512 << 20), ("1GiB", 1 << 30), ("3k", 3072), ("77", 77), (5, 5)])
def test_sizes_have_units(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "M", "-1", "1.5G", "512X", "9" * 40, "\N{ARABIC-INDIC DIGIT ONE}"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        parse_size(text)


def test_sectors_of_4096_bytes(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "disk.img"
    report = Image(kernel=kernel, sector_size=4096).build(image)
    assert report.partition.first_lba == 256
    node = inspect(image)
    assert node.sector_size == 4096
    assert node.boot is not None
    assert [slot.sector_size for slot in node.boot.loader_slots] == [4096, 4096]
    assert Image(kernel=kernel).build(image).kept == (2, 1)
    assert verify(image) == []


def test_the_options_reach_the_loader(tmp_path: Path, kernel: Path) -> None:
    image = tmp_path / "disk.img"
    Image(kernel=kernel, verbose=True, framebuffer="1024x768x32").build(image)
    node = inspect(image)
    assert node.boot is not None
    assert all(slot.verbose and slot.framebuffer == (1024, 768, 32) for slot in node.boot.loader_slots)


def test_initrds_of_awkward_sizes_and_names(tmp_path: Path, kernel: Path) -> None:
    initrds = []
    for size in (1, 511, 512, 4096, MIB, MIB + 1):
        initrds.append(tmp_path / f"initrd of {size} bytes, ünïcode")
        initrds[-1].write_bytes(b"i" * size)
    image = tmp_path / "disk.img"
    Image(kernel=kernel, initrds=initrds).build(image)
    assert verify(image) == []
    node = inspect(image)
    assert node.boot is not None
    assert [blob.size for blob in node.boot.manifests[0].blobs[1:]] == [1, 511, 512, 4096, MIB, MIB + 1]
    assert [len(blob.chunks) for blob in node.boot.manifests[0].blobs[1:]] == [1, 1, 1, 1, 1, 2]


def test_a_kernel_object_will_do(tmp_path: Path, kernel: Path) -> None:
    Image(kernel=Kernel.read(kernel)).build(tmp_path / "disk.img")
    assert verify(tmp_path / "disk.img") == []


def test_progress_counts_up_to_the_whole(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    Image(kernel=kernel, initrds=[initrd]).build(
        tmp_path / "disk.img", progress=lambda what, done, total: seen.append((what, done, total))
    )
    for what in ("pack", "write"):
        steps = [(done, total) for name, done, total in seen if name == what]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def refused(tmp_path: Path, image: Image, path: Path | None = None) -> BootslangError:
    """Build, see it refused, and see that nothing is left behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BootslangError) as caught:
        image.build(path or tmp_path / "disk.img")
    assert sorted(tmp_path.iterdir()) == before
    return caught.value


def test_what_cannot_work_is_refused_at_build_time(tmp_path: Path, kernel: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    cases: list[tuple[Image, type[BootslangError], str]] = [
        (Image(kernel=tmp_path / "missing"), KernelInvalid, "cannot be read"),
        (Image(kernel=kernel, command_line="x" * 5000), KernelInvalid, "The command line has 5,000 bytes"),
        (Image(kernel=kernel, command_line="a\0b"), KernelInvalid, "NUL"),
        (Image(kernel=kernel, initrds=[empty]), ImageInvalid, "is empty"),
        (Image(kernel=kernel, initrds=[tmp_path]), ImageInvalid, "is a directory"),
        (Image(kernel=kernel, initrds=[tmp_path / "no"]), ImageInvalid, "does not exist"),
        (
            Image(kernel=kernel, initrds=[kernel] * 47),
            UsageError,
            "There are 47 initrds; a manifest has room for 46",
        ),
        (Image(kernel=kernel, codec="rar"), UsageError, "There is no codec 'rar'"),
        (Image(kernel=kernel, framebuffer="big"), UsageError, "'big' is no video mode"),
        (Image(kernel=kernel, framebuffer=(1, 2, 3)), UsageError, "1x2x3 is no video mode"),
        (Image(kernel=kernel, sector_size=2048), UsageError, "Sectors of 2048 bytes are not supported"),
        (Image(kernel=kernel, disk_signature=1 << 32), UsageError, "The disk signature 0x100000000 is not in"),
        (Image(kernel=kernel, size="10000001"), UsageError, "is no whole number of 512-byte sectors"),
        (Image(kernel=kernel, root=kernel), UsageError, "is no directory"),
    ]
    for image, kind, problem in cases:
        error = refused(tmp_path, image)
        assert isinstance(error, kind)
        assert problem in error.message


def test_an_initrd_above_the_kernels_limit_is_refused(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    plain = Kernel.read(kernel)
    small = replace(plain, limits=replace(plain.limits, initrd_bytes=2 * 2_100_000 - 1))
    Image(kernel=small, initrds=[initrd]).build(tmp_path / "one.img")
    error = refused(tmp_path, Image(kernel=small, initrds=[initrd, initrd]))
    assert "The initrd has 4,200,000 bytes" in error.message


@pytest.mark.slow
def test_an_initrd_above_4_gib(tmp_path: Path, kernel: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate((4 << 30) + 5)  # a hole: it takes no room
    image = tmp_path / "disk.img"
    Image(kernel=kernel, initrds=[huge]).build(image)
    node = inspect(image)
    assert node.boot is not None
    assert node.boot.manifests[0].blobs[1].size == (4 << 30) + 5
    assert image.stat().st_blocks * 512 < MIB


def test_the_path_has_to_be_a_disks(tmp_path: Path, kernel: Path) -> None:
    image = Image(kernel=kernel)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    lost = tmp_path / "no" / "disk.img"
    cases = [
        (tmp_path, f"{tmp_path} is a directory."),
        (dangling, f"{dangling} is a symbolic link to {tmp_path / 'nowhere'}, which does not exist."),
        (fifo, f"{fifo} is neither a file nor a block device."),
        (Path("/dev/null"), "/dev/null is neither a file nor a block device."),
        (lost, f"{lost} cannot be made: {lost.parent} is no directory."),
        (kernel / "disk.img", f"{kernel / 'disk.img'} cannot be used: Not a directory."),
    ]
    for path, problem in cases:
        error = refused(tmp_path, image, path)
        assert isinstance(error, TargetRefused)
        assert error.message == problem


def test_a_full_host_leaves_nothing_behind(tmp_path: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: FileMedium, _offset: int, _data: memoryview) -> None:
        raise OSError(28, "No space left on device")

    plain = FileMedium._write_all
    calls = []

    def half_way(self: FileMedium, offset: int, data: memoryview) -> None:
        calls.append(offset)
        (plain if len(calls) < 8 else full)(self, offset, data)

    monkeypatch.setattr(FileMedium, "_write_all", half_way)
    error = refused(tmp_path, Image(kernel=kernel))
    assert isinstance(error, NoRoom)
    assert error.message == f"{tmp_path / 'disk.img'} cannot be written: No space left on device."
    assert len(calls) == 8


@pytest.mark.parametrize("content", [b"", b"other " * 350_000, b"initrd " * 400_000])
def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path, kernel: Path, initrd: Path, content: bytes) -> None:
    def change(what: str, done: int, total: int) -> None:
        if what == "pack" and done == total:
            initrd.write_bytes(content)

    with pytest.raises(ImageInvalid, match=r"^initrd\.gz was changed while the image was built\."):
        Image(kernel=kernel, initrds=[initrd]).build(tmp_path / "disk.img", progress=change)
    assert not (tmp_path / "disk.img").exists()


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, kernel: Path) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "write":
            raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        Image(kernel=kernel).build(tmp_path / "disk.img", progress=interrupt)
    assert sorted(tmp_path.iterdir()) == before


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, kernel: Path) -> None:
    error = refused(tmp_path, Image(kernel=kernel), Path("/proc/disk.img"))
    assert error.message.startswith("/proc/disk.img cannot be used: ")

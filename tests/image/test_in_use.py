"""Is a disk that something on this host uses left alone? The host is a drawing of /proc and /sys."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootslang.errors import TargetRefused
from bootslang.image.in_use import refuse_if_used


class Host:
    """A /proc and a /sys with one disk, 8:0, that has one partition, 8:1, and with one loop device."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.sys = root / "sys"
        self.partition = self.sys / "devices" / "sda" / "sda1"
        self.loop = self.sys / "devices" / "loop7"
        for directory in (self.proc / "self", self.sys / "dev" / "block", self.sys / "block"):
            directory.mkdir(parents=True)
        for directory, number in ((self.partition.parent, "8:0"), (self.partition, "8:1"), (self.loop, "7:7")):
            (directory / "holders").mkdir(parents=True)
            (directory / "dev").write_text(f"{number}\n")
            (self.sys / "dev" / "block" / number).symlink_to(directory)
        (self.partition / "partition").write_text("1\n")
        (self.sys / "block" / "loop7").symlink_to(self.loop)
        self.swap("")
        self.mount("1:2 / /")

    def mount(self, what: str, source: str = "none") -> None:
        (self.proc / "self" / "mountinfo").write_text(f"42 27 {what} rw,relatime shared:1 - ext4 {source} rw\n")

    def swap(self, line: str) -> None:
        (self.proc / "swaps").write_text(f"Filename Type Size Used Priority\n{line}")

    def back_loop(self, path: Path) -> None:
        (self.loop / "loop").mkdir()
        (self.loop / "loop" / "backing_file").write_text(f"{path}\n")

    def refusal(self, path: Path) -> str:
        with pytest.raises(TargetRefused) as caught:
            refuse_if_used(path, proc=self.proc, sys=self.sys)
        return caught.value.message


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def sda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path that looks like the block device 8:0."""
    path = tmp_path / "sda"
    plain = Path.stat

    def stat(self: Path, **options: bool) -> os.stat_result | SimpleNamespace:
        if self == path:
            return SimpleNamespace(st_mode=0o060660, st_rdev=os.makedev(8, 0))
        return plain(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    return path


def test_a_disk_that_nothing_uses_is_free(host: Host, sda: Path) -> None:
    refuse_if_used(sda, proc=host.proc, sys=host.sys)


def test_a_mounted_disk_is_refused(host: Host, sda: Path) -> None:
    host.mount("8:0 / /mnt/with\\040blank")
    assert host.refusal(sda) == f"{sda} is mounted at /mnt/with blank."


def test_a_disk_with_a_mounted_partition_is_refused(host: Host, sda: Path) -> None:
    host.mount("8:1 / /home")
    assert host.refusal(sda) == f"{sda} is mounted at /home (as /dev/sda1)."


def test_a_btrfs_is_known_by_its_source(host: Host, sda: Path) -> None:
    host.mount("0:33 / /data", source="/dev/sda1")
    assert host.refusal(sda) == f"{sda} is mounted at /data (as /dev/sda1)."


def test_a_disk_with_swap_is_refused(host: Host, sda: Path) -> None:
    host.swap("/dev/sda1 partition 1000 0 -2\n")
    assert host.refusal(sda) == f"{sda} is used as swap (as /dev/sda1)."


def test_a_disk_that_lvm_or_raid_holds_is_refused(host: Host, sda: Path) -> None:
    (host.partition / "holders" / "dm-0").mkdir()
    (host.partition / "holders" / "md1").mkdir()
    assert host.refusal(sda) == f"{sda} is held by dm-0, md1 (as /dev/sda1)."


def test_an_image_behind_a_mounted_loop_device_is_refused(host: Host, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    host.back_loop(image)
    refuse_if_used(image, proc=host.proc, sys=host.sys)
    host.mount("7:7 / /mnt", source="/dev/loop7")
    assert host.refusal(image) == f"{image} is mounted at /mnt (as /dev/loop7)."


def test_another_images_loop_device_is_no_matter(host: Host, tmp_path: Path) -> None:
    image, other = tmp_path / "disk.img", tmp_path / "other.img"
    image.touch()
    other.touch()
    host.back_loop(other)
    host.mount("7:7 / /mnt", source="/dev/loop7")
    refuse_if_used(image, proc=host.proc, sys=host.sys)


def test_hosts_without_proc_and_sys_have_nothing_to_ask(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    refuse_if_used(image, proc=tmp_path / "no", sys=tmp_path / "no")

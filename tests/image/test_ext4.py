"""Is the root partition the tree that was given, the same bytes every time, and sound to e2fsck?"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bootslang.errors import ImageInvalid, NoRoom, ToolMissing, UsageError
from bootslang.image import BuildReport, Image, ext4, verify

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc" / "deep" / "er").mkdir(parents=True)
    (root / "etc" / "hostname").write_text("bootslang\n")
    (root / "etc" / "deep" / "er" / 'a "quoted" näme').write_bytes(b"x")
    (root / "data").write_bytes(CONTENT)
    (root / "link").symlink_to("etc/hostname")
    (root / "run").mkdir(mode=0o750)
    (root / "etc" / "hostname").chmod(0o640)
    return root


def file_system(image: Path, report: BuildReport, tmp_path: Path) -> Path:
    """The root partition as a file of its own, which e2fsck has found sound."""
    assert report.root is not None
    part = tmp_path / "part"
    part.write_bytes(image.read_bytes()[report.root.offset :][: report.root.size])
    checked = subprocess.run(["/usr/sbin/e2fsck", "-fn", part], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    return part


def debugfs(part: Path, command: str) -> str:
    told = subprocess.run(["/usr/sbin/debugfs", "-R", command, part], capture_output=True, text=True, check=True)
    return told.stdout


def test_the_tree_is_in_the_second_partition(tmp_path: Path, kernel: Path, tree: Path) -> None:
    image = tmp_path / "disk?offset=0.img"
    report = Image(kernel=kernel, root=tree).build(image)
    assert verify(image) == []
    assert report.root is not None
    assert (report.root.number, report.root.type) == (2, 0x83)
    dump = subprocess.run(["/usr/sbin/sfdisk", "-d", image], capture_output=True, text=True, check=True).stdout
    assert f"start= {report.root.first_lba:11}, size= {report.root.sectors:11}, type=83" in dump
    part = file_system(image, report, tmp_path)
    assert debugfs(part, "cat /etc/hostname") == "bootslang\n"
    out = tmp_path / "data.out"
    debugfs(part, f"dump /data {out}")
    assert out.read_bytes() == CONTENT
    assert 'Fast link dest: "etc/hostname"' in debugfs(part, "stat /link")
    assert "Mode:  0640" in debugfs(part, "stat /etc/hostname")
    assert "Mode:  0750" in debugfs(part, "stat /run")
    assert r'a "quoted" n\xc3\xa4me' in debugfs(part, "ls /etc/deep/er")
    label = subprocess.run(["file", "-b", part], capture_output=True, text=True, check=True).stdout
    assert "ext4 filesystem data" in label
    assert "(extents) (64bit)" in label


def test_the_same_tree_gives_the_same_bytes(
    tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "1.img", tmp_path / "2.img"
    Image(kernel=kernel, root=tree).build(one)
    for path in (tree / "data", tree / "etc"):  # new access and change times
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns + 10**12, status.st_mtime_ns))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("MKE2FS_CONFIG", "/nowhere")
    Image(kernel=kernel, root=tree).build(other)
    assert one.read_bytes() == other.read_bytes()


def test_other_trees_get_other_identities(tmp_path: Path, kernel: Path, tree: Path) -> None:
    one = Image(kernel=kernel, root=tree).build(tmp_path / "1.img")
    first = file_system(tmp_path / "1.img", one, tmp_path)
    uuid = next(line for line in debugfs(first, "show_super_stats -h").splitlines() if "UUID" in line)
    (tree / "etc" / "hostname").write_text("otherhost\n")
    other = Image(kernel=kernel, root=tree).build(tmp_path / "2.img")
    second = file_system(tmp_path / "2.img", other, tmp_path)
    assert uuid not in debugfs(second, "show_super_stats -h")
    assert one.disk_signature != other.disk_signature


def test_source_date_epoch_is_the_latest_time(
    tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(tree / "data", (1_000_000_000, 1_000_000_000))
    os.utime(tree / "etc", (1_900_000_000, 1_900_000_000))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    report = Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")
    part = file_system(tmp_path / "disk.img", report, tmp_path)
    assert "mtime: 0x3b9aca00:00000000" in debugfs(part, "stat /data")
    assert "mtime: 0x6553f100:00000000" in debugfs(part, "stat /etc")
    assert "ctime: 0x6553f100:00000000" in debugfs(part, "stat /etc")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        Image(kernel=kernel, root=tree).build(tmp_path / "other.img")


def test_what_belongs_to_the_builder_belongs_to_root_in_the_image(
    tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() == 0:
        os.chown(tree / "data", 1234, 1234)
        monkeypatch.setattr(os, "geteuid", lambda: 1234)
    report = Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")
    part = file_system(tmp_path / "disk.img", report, tmp_path)
    assert "User:     0   Group:     0" in debugfs(part, "stat /data")


def test_the_root_partition_grows_until_the_tree_fits(
    tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ext4.Tree, "least_bytes", 1 << 20)
    report = Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")
    file_system(tmp_path / "disk.img", report, tmp_path)
    assert report.root is not None
    assert report.root.size > 1 << 20


def test_a_tree_that_does_not_fit_says_by_how_much(tmp_path: Path, kernel: Path, tree: Path) -> None:
    with pytest.raises(NoRoom, match=r"^The content needs a disk of \d+ bytes; 10485760 are \d+ too few\."):
        Image(kernel=kernel, root=tree, size="10M").build(tmp_path / "disk.img")
    assert not (tmp_path / "disk.img").exists()
    report = Image(kernel=kernel, root=tree, size="100M").build(tmp_path / "disk.img")
    assert report.root is not None
    assert report.root.offset + report.root.size == 100 << 20


def test_a_missing_mke2fs_says_what_to_install(
    tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    with pytest.raises(ToolMissing) as caught:
        Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")
    assert caught.value.message == "mke2fs is not installed, and a root partition needs it."
    assert "apt install e2fsprogs" in caught.value.hint
    assert not (tmp_path / "disk.img").exists()


def test_a_failing_mke2fs_is_quoted(tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ext4, "_CONFIGURATION", "[defaults]\n  blocksize = 77\n")
    with pytest.raises(ImageInvalid, match=r"^mke2fs failed: .*"):
        Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "vmlinux"]


def test_a_full_host_is_not_taken_for_a_large_tree(
    tmp_path: Path, kernel: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[list[str]] = []

    def run(command: list[str], _environment: dict[str, str], _text: str = "") -> subprocess.CompletedProcess[str]:
        tries.append(command)
        return subprocess.CompletedProcess(command, 1, "", "mke2fs: No space left on device while populating")

    monkeypatch.setattr(ext4, "_run", run)
    with pytest.raises(NoRoom, match=r"^mke2fs failed: mke2fs: No space left on device"):
        Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")
    assert len(tries) == 1


def test_names_that_debugfs_cannot_take_are_refused(tmp_path: Path, kernel: Path, tree: Path) -> None:
    (tree / "new\nline").touch()
    with pytest.raises(UsageError, match=r"a name that debugfs cannot take: '/new\\nline'"):
        Image(kernel=kernel, root=tree).build(tmp_path / "disk.img")

"""Is a package fetched once, by an apt of its own, and is it said why where that fails? With a make-believe apt."""

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bootslang.errors import ToolMissing
from bootslang.kernel import debian

LOG = 'echo "${0##*/} $*" >> "$LOG"\n'
APT_GET = f"""#!/bin/sh
{LOG}case "$*" in
*update*)
    [ -z "$OFFLINE" ] || printf 'W: Failed to fetch %s  no route\n' list-1 list-2 >&2
    [ -z "$SLOW" ] || exec sleep 60 ;;
*download*)
    sleep 0.1
    [ -z "$BROKEN" ] || {{ echo "E: no network today" >&2; exit 100; }}
    cp "$TAR" package.deb ;;
esac
"""
APT_CACHE = f"""#!/bin/sh
{LOG}case "$*" in
*no-such*|*-686*) echo "E: No packages found" >&2; exit 100 ;;
*linux-image-cloud*) echo "  Depends: linux-image-6.1.0-1-cloud-amd64" ;;
esac
"""
DPKG_DEB = f"""#!/bin/sh
{LOG}exec cat "$2"
"""
CONTENTS = {
    "./boot/vmlinuz-6.1.0-1": b"kernel",
    "./bin/busybox": b"busybox",
    "./lib/modules/6.1.0-1/modules.builtin": b"kernel/fs/ext4/ext4.ko\n",
    "./lib/modules/6.1.0-1/kernel/virtio-blk.ko": b"\0depends=virtio\0",
    "./lib/modules/6.1.0-1/kernel/virtio.ko": b"\0depends=\0",
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, make-believe tools, and the file that tells how these were called."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("apt-get", APT_GET), ("apt-cache", APT_CACHE), ("dpkg-deb", DPKG_DEB)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    with tarfile.open(tmp_path / "package.tar", "w") as tar:
        for path, content in CONTENTS.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TAR", str(tmp_path / "package.tar"))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_a_kernel_is_fetched_once_however_many_ask(log: Path) -> None:
    """Do several at a time wait for the one that fetches, and get the same file?"""
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: debian.cloud_kernel(), range(4)))
    assert [path.read_bytes() for path in found] == [b"kernel"]
    calls = log.read_text().splitlines()
    assert [call for call in calls if " download " in call] == [
        f"apt-get -c {debian.cache_directory()}/debian/apt-amd64/apt.conf -q download linux-image-6.1.0-1-cloud-amd64"
    ]
    assert sum(call.startswith("dpkg-deb --fsys-tarfile") for call in calls) == 1


def test_modules_after_a_run_that_was_killed(log: Path) -> None:
    """Are modules taken out whole, each after what it depends on, where half of them lie about already?"""
    kernel = debian.cloud_kernel()
    (kernel.parent / "modules.part").mkdir()
    (kernel.parent / "modules.part" / "virtio.ko").write_bytes(b"half")
    for _ in range(2):
        found = debian.modules(kernel, ["virtio_blk", "ext4"])
        assert [path.name for path in found] == ["virtio.ko", "virtio-blk.ko"]
    assert found[0].read_bytes() == b"\0depends=\0"
    with pytest.raises(ToolMissing) as caught:
        debian.modules(kernel, ["floppy"])
    assert caught.value.message == "linux-image-cloud-amd64_amd64 has no module floppy."
    assert log.read_text().count("--fsys-tarfile") == 2


def test_nothing_of_the_host_is_written_to(log: Path, tmp_path: Path) -> None:
    """Has each architecture an apt of its own, whose every directory is in the cache, and does nothing install?"""
    assert debian.i386_busybox().read_bytes() == b"busybox"
    home = tmp_path / "cache" / "bootslang" / "debian" / "apt-i386"
    configuration = (home / "apt.conf").read_text()
    assert 'APT::Architecture "i386";' in configuration
    for key in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Log"):
        assert f'{key} "{home}' in configuration
    commands = {call.split(" -q ")[1].split()[0] for call in log.read_text().splitlines() if " -q " in call}
    assert commands == {"update", "depends", "download"}


def test_a_package_that_nobody_has(log: Path) -> None:
    with pytest.raises(ToolMissing) as caught:
        debian.i386_kernel()
    assert str(caught.value) == (
        "No package source of this host has linux-image-686 (i386): E: No packages found\n"
        "This needs Debian's package sources and a network, the first time."
    )
    assert "download" not in log.read_text()


def test_without_a_network(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the cause told, once, rather than only that a package is not known?"""
    monkeypatch.setenv("OFFLINE", "1")
    with pytest.raises(ToolMissing) as caught:
        debian.i386_kernel()
    assert caught.value.message == (
        "No package source of this host has linux-image-686 (i386):"
        " W: Failed to fetch list-1  no route; E: No packages found"
    )
    assert "download" not in log.read_text()


def test_a_network_that_does_not_answer(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Does a silent server end in an error instead of a wait without end?"""
    monkeypatch.setenv("SLOW", "1")
    monkeypatch.setattr(debian, "FETCH_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(ToolMissing) as caught:
        debian.cloud_kernel()
    assert caught.value.message == "apt-get update did not end (amd64): E: no answer for 0.2 s"
    assert "download" not in log.read_text()


def test_a_download_that_fails_leaves_nothing_behind(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is apt's own reason told, and does the next attempt work?"""
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(ToolMissing) as caught:
        debian.amd64_busybox()
    assert caught.value.message == "busybox-static could not be downloaded (amd64): E: no network today"
    monkeypatch.delenv("BROKEN")
    assert debian.amd64_busybox().read_bytes() == b"busybox"
    assert log.read_text().count(" download ") == 2


def test_a_package_without_the_file(log: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "package.tar", "w"):
        pass
    with pytest.raises(ToolMissing) as caught:
        debian.amd64_busybox()
    assert caught.value.message == "busybox-static_amd64.deb holds no (usr/)?bin/busybox."
    assert log.exists()


def test_a_host_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ToolMissing) as caught:
        debian.cloud_kernel()
    assert str(caught.value) == (
        "apt-get is not installed; kernels to test with come from Debian's packages.\n"
        "Use a Debian host, or give a kernel of your own."
    )

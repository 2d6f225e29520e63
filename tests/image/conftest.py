"""Image tests build with stages of random bytes: what the loader does is not what is asked, but of whole machines."""

from pathlib import Path

import pytest

from bootslang.image import builder
from support import disks
from support.disks import elf_kernel


@pytest.fixture(autouse=True)
def fake_stages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("machine"):
        return
    monkeypatch.setattr(builder, "linked_stages", disks.fake_stages)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_kernel(300_000))
    return path


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd.gz"
    path.write_bytes(b"initrd " * 300_000)
    return path

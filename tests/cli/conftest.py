"""The command in this process: its exit code and what it printed."""

from pathlib import Path

import pytest

from bootslang.cli import main
from support.command import Command, Result
from support.disks import elf_kernel


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is in a folder of its own, and runs machines without KVM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOOTSLANG_ACCEL", "tcg")


@pytest.fixture
def bootslang(capfd: pytest.CaptureFixture[str]) -> Command:
    """Call the command."""

    def call(*arguments: str) -> Result:
        code = main(arguments)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_kernel(300_000))
    return path

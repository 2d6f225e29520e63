"""Does the wheel hold all that builds a disk, so that its users need no compiler?"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.kernels import cloud_kernel

ROOT = Path(__file__).parents[2]
BUILD_THEM = """
import sys
sys.modules["llvmlite"] = None  # As if it were not installed: importing it raises ImportError.
import bootslang
assert bootslang.__file__.startswith(sys.argv[1]), bootslang.__file__
bootslang.Image(kernel=sys.argv[2], codec="none").build(sys.argv[3])
bootslang.Loader().build(sys.argv[4])
"""


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("bootslang-*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


def test_the_wheel_holds_the_compiled_stages_and_is_for_every_platform(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name.endswith("-py3-none-any.whl")
    for unit in ("stage1", "stage2", "stage3", "lift64", "lift32", "loader"):
        assert f"bootslang/objects/{unit}.o" in names
    assert "bootslang/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_two_wheels_of_the_same_sources_are_equal(wheel: Path, tmp_path: Path) -> None:
    assert build_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_builds_the_same_disk_and_loader_without_a_compiler(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    zipfile.ZipFile(wheel).extractall(installed)
    disks = tmp_path / "without.img", tmp_path / "with.img"
    loaders = tmp_path / "without.elf64", tmp_path / "with.elf64"
    command: list[str | Path] = [
        sys.executable,
        "-P",
        "-c",
        BUILD_THEM,
        installed,
        cloud_kernel(),
        disks[0],
        loaders[0],
    ]
    environment = {**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)

    from bootslang import Image, Loader

    Image(kernel=cloud_kernel(), codec="none").build(disks[1])
    Loader().build(loaders[1])
    for without, with_ in (disks, loaders):
        assert without.read_bytes() == with_.read_bytes()

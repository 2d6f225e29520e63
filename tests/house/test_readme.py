"""Does the README tell the truth: its commands, its Python, and its look at boot code?"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.kernels import cloud_kernel

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "BOOTSLANG_ACCEL": "tcg"}


def test_the_boot_code_shown_is_the_boot_code() -> None:
    source = (ROOT / "src/bootslang/boot/bios/boot_sector.py").read_text()
    shown = next(block for block in blocks("python") if block.startswith("@fn"))
    assert shown in source


def test_every_link_leads_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)\)", prose)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_make_targets_shown_exist() -> None:
    shown = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert shown
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in shown)


@pytest.mark.machine
def test_the_commands_and_the_python_shown_boot_a_machine(tmp_path: Path) -> None:
    shutil.copy(cloud_kernel(), tmp_path / "vmlinuz")
    commands = "".join(block for block in blocks("sh") if block.startswith("bootslang"))
    for line in commands.splitlines():
        words = line.replace("bootslang", f"{sys.executable} -m bootslang", 1)
        subprocess.run(["sh", "-c", words], cwd=tmp_path, check=True, env=environment(), timeout=400)
    (tmp_path / "disk.img").unlink()
    script = next(block for block in blocks("python") if "Image(" in block)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, env=environment(), timeout=400)

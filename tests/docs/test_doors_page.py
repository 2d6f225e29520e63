"""Does docs/doors.md tell the truth: its options, its commands, its GRUB menu?"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bootslang import Machine
from bootslang.boot.context import BootContext
from bootslang.boot.doors import options
from bootslang.emulator import PASS
from bootslang.loader import Loader
from bootslang.slang import span
from support.grub import grub_image
from support.own_kernels import OwnKernel, Part
from support.small_kernels import exit_with, say

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/doors.md").read_text()
OPTION_ROWS = re.findall(r"^\| (`--.*?) \| ", PAGE, re.MULTILINE)
SHELL = re.findall(r"```shell\n(.*?)```", PAGE, re.DOTALL)
ENTRIES = re.findall(r'menuentry "(.*?)" \{\n(.*?)\n\}', PAGE, re.DOTALL)
KERNEL = OwnKernel([Part(0, say("kernel runs\n") + exit_with(PASS))]).file
"""It stands for Linux too: how it is started is not this page's affair."""
FILES: dict[str, bytes] = {"hello.elf": KERNEL, "vmlinuz": KERNEL, "initrd.gz": b"archive"}
FOR_TESTS = shlex.split("-display none -serial stdio -no-reboot -accel tcg -device isa-debug-exit,iobase=0xf4,iosize=4")


def documented() -> list[str]:
    return [option for row in OPTION_ROWS for option in re.findall(r"`(--.*?)`", row)]


@pytest.mark.parametrize("option", documented())
def test_an_option_on_the_page_is_understood(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    options.read(span(option.encode()), BootContext.zeroed())
    assert not capsys.readouterr().out


def test_every_option_is_on_the_page() -> None:
    known = set(re.findall(r'text\("(--[a-z=-]*)"\)', Path(options.__file__).read_text()))
    assert "--log=" in known
    assert [word for word in sorted(known) if f"`{word}" not in PAGE] == []


@pytest.mark.machine
@pytest.mark.parametrize("commands", SHELL, ids=["PVH", "Multiboot 1", "sealed in"])
def test_the_commands_boot_a_kernel(commands: str, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    for line in commands.splitlines():
        words = shlex.split(line)
        if words[0] == "bootslang":
            subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True)
            continue
        ran = subprocess.run(
            [*words, *FOR_TESTS], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
        )
        assert "kernel runs" in ran.stdout
        assert ran.returncode == PASS << 1 | 1


@pytest.mark.machine
@pytest.mark.parametrize(
    ("commands", "firmware"),
    [(commands, "bios") for _, commands in ENTRIES] + [(ENTRIES[0][1], "ovmf")],
    ids=[*(title for title, _ in ENTRIES), "UEFI"],
)
def test_grubs_menu_boots_a_kernel(commands: str, firmware: str, tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = dict(FILES)
    for bits in (32, 64):
        name = f"bootslang.elf{bits}"
        if name in commands:
            files[name] = Loader(elf32=bits == 32).build(tmp_path / name).path
    lines = [line.strip() for line in commands.splitlines()]
    image = grub_image(tmp_path, *lines, files=files)
    outcome = Machine(image, firmware=firmware, machine="q35", memory=256, accel="tcg").run(timeout=90)
    assert outcome.guest_code == PASS, outcome.console

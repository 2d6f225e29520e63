"""Does docs/own-kernel.md tell the truth: its kernel, each of its commands, and what it says of faults?"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bootslang import Machine
from bootslang.loader import Loader

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-kernel.md").read_text()
EXAMPLE = (ROOT / "examples/hello.py").read_text()
COMMANDS = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)).splitlines()
TEXTS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(line: str, folder: Path) -> str:
    words = line.replace("bootslang", f"{sys.executable} -m bootslang", 1) if line.startswith("bootslang") else line
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "BOOTSLANG_ACCEL": "tcg"}
    done = subprocess.run(
        ["sh", "-c", words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def test_the_kernel_on_the_page_is_the_example() -> None:
    shown = re.search(r"^<!-- examples/hello.py -->\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shown[1] == EXAMPLE


@pytest.mark.machine
def test_the_commands_boot_the_kernel_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(EXAMPLE)
    menu = re.search(r"^```grub\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert menu is not None
    (tmp_path / "grub.cfg").write_text(menu[1])
    consoles = [run(line, tmp_path) for line in COMMANDS]
    booted = [console for line, console in zip(COMMANDS, consoles, strict=True) if line.startswith("bootslang run")]
    assert [re.search("by way of (.*)", console)[1] for console in booted] == [  # type: ignore[index]
        "BIOS",
        "PVH",
        "PVH",
        "PVH",
        "GRUB 2.06-13+deb12u2",
    ]
    for console in booted:
        assert "command line: answer=42\n" in console
        assert "The machine is as it was promised.\n" in console
    shown = [line for line in TEXTS[0].splitlines() if line != "..."]
    assert [line for line in shown if line not in booted[0].splitlines()] == []


@pytest.mark.machine
def test_the_mistake_on_the_page_is_told_as_it_says(tmp_path: Path) -> None:
    mistake = re.search(r"^```python\n( +ptr.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert mistake is not None
    first = "    information = BootInformation.at(address)\n"
    source = EXAMPLE.replace(first, mistake[1] + first, 1).replace("outb, read_cr0", "outb, ptr, read_cr0", 1)
    (tmp_path / "hello.py").write_text(source)
    run("bootslang compile --target kernel hello.py -o hello.elf", tmp_path)
    loader = Loader(kernel=tmp_path / "hello.elf").build(tmp_path / "hello.boot").path
    outcome = Machine(kernel=loader, machine="q35", accel="tcg").run(expect="Boot stopped", timeout=60)
    for line in TEXTS[1].splitlines():
        wanted = re.escape(line).replace(r"\.\.\.", ".*")
        assert re.search(wanted, outcome.console), (line, outcome.console)

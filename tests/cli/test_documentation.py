"""Does the page on the command tell the truth?"""

import re
import shlex
from pathlib import Path

import pytest

from bootslang.cli.manual import COMPLETION, EXIT_CODES
from bootslang.emulator import PASS
from support import small_kernels
from support.boot_sectors import boot_disk, exit_with, say
from support.command import Command
from support.disks import elf_kernel

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()


def test_the_exit_codes_are_those_of_the_manual() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


def test_the_completion_is_that_of_the_manual() -> None:
    rows = re.findall(r"^\| (bash|zsh|fish) \| `(.*)` \|$", PAGE, re.MULTILINE)
    assert {shell: line.replace("\\|", "|") for shell, line in rows} == COMPLETION


@pytest.mark.machine
def test_the_commands_work_one_after_the_other(bootslang: Command) -> None:
    Path("vmlinuz").write_bytes(elf_kernel(300_000))
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for line in "".join(blocks).splitlines():
        if line.startswith("bootslang run"):
            boot_disk(Path.cwd(), say("login: ") + exit_with(PASS))
            code = small_kernels.say("login: ") + small_kernels.exit_with(PASS)
            Path("bootslang.elf64").write_bytes(small_kernels.pvh_kernel(code))
        assert bootslang(*shlex.split(line)[1:]).code == 0, line

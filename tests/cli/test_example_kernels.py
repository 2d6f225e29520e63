"""Do the examples' kernels start by the commands that stand at their top?"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from support.command import Command

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.machine


@pytest.mark.parametrize("name", ["hello.c"])
def test_an_example_kernel(bootslang: Command, name: str) -> None:
    shutil.copy(EXAMPLES / name, name)
    lines = re.findall(r"^ ?\*? {4,5}((?:bootslang|gcc) .*)$", Path(name).read_text(), re.MULTILINE)
    for line in lines[:-1]:
        words = shlex.split(line)
        if words[0] == "gcc":
            subprocess.run(words, check=True)
        else:
            assert bootslang(*words[1:]).code == 0, line
    assert lines[-1] == "bootslang run disk.img"
    ended = bootslang("run", "disk.img")
    assert ended.code == 0
    assert "\r\ncommand line: a text for the kernel\r\n" in ended.out
    assert ended.out.endswith("The machine is as it was promised.\r\n")

"""Do the examples in the help work as they stand?"""

import gzip
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from bootslang.cli.app import COMMANDS, HIDDEN
from bootslang.cli.command import Command as CommandWithExamples
from bootslang.emulator import PASS
from support import small_kernels
from support.boot_sectors import boot_disk, exit_with, say
from support.command import Command
from support.disks import elf_kernel
from support.elf_writer import movable
from support.payloads import kernel_with

HELLO = '''\
"""A boot sector, or a kernel, that stops."""

from bootslang.slang import asm, fn


@fn(naked=True, section=".start")
def entry() -> None:
    asm("""
    2:  hlt
        jmp 2b
    """)
'''
NEEDS_GDB = "--gdb"
"""Of the examples of `run`, the one that waits for gdb: test_debugger.py."""


def examples(name: str) -> list[str]:
    command = import_module(f"bootslang.cli.{name}").command
    assert isinstance(command, CommandWithExamples)
    return [example.line for example in command.examples]


@pytest.fixture
def folder(bootslang: Command) -> Path:
    """Everything that the examples name."""
    Path("vmlinuz").write_bytes(elf_kernel(300_000))
    Path("vmlinux").write_bytes(elf_kernel(300_000, seed=2))
    Path("kernel.elf").write_bytes(movable().build())
    Path("font.psf").write_bytes(b"font")
    Path("initrd.gz").write_bytes(b"initrd")
    Path("rootfs").mkdir()
    Path("rootfs/init").write_text("#!/bin/sh\n")
    Path("hello.sh").write_text("echo hello\n")
    shutil.rmtree("__pycache__", ignore_errors=True)
    for name in ("hello.py", "console.py"):
        Path(name).write_text(HELLO)
    assert bootslang("build", "-k", "vmlinuz", "-i", "initrd.gz", "disk.img").code == 0
    assert bootslang("bundle", "-k", "vmlinuz", "-o", "linux.bundle").code == 0
    return Path.cwd()


@pytest.mark.parametrize("line", [line for name in (*COMMANDS, *HIDDEN) if name != "run" for line in examples(name)])
def test_an_example(bootslang: Command, folder: Path, line: str) -> None:
    if "root.img" not in line and "-c" in line:
        (folder / "disk.img").unlink()
    if "extract" in line:
        (folder / "vmlinuz").write_bytes(kernel_with(gzip.compress(elf_kernel(3000))))
    words = shlex.split(line.partition(" > ")[0])
    assert words[0] == "bootslang"
    ended = bootslang(*words[1:])
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.machine
@pytest.mark.parametrize("line", [line for line in examples("run") if NEEDS_GDB not in line])
def test_an_example_that_runs_a_machine(bootslang: Command, folder: Path, line: str) -> None:
    boot_disk(folder, say("login: ") + exit_with(PASS))
    kernel = small_kernels.pvh_kernel(small_kernels.say("login: ") + small_kernels.exit_with(PASS))
    (folder / "bootslang.elf64").write_bytes(kernel)
    (folder / "kernel.bundle").touch()
    ended = bootslang(*shlex.split(line)[1:])
    assert ended.code == 0
    assert ("login: " in ended.out) != ("--print-command" in line)

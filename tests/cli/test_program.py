"""Does the program find its commands, and do errors come as one line, a hint and an exit code?"""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from bootslang.cli.app import COMMANDS
from bootslang.errors import CheckFailed, GuestTimeout, ToolMissing
from bootslang.image import builder
from support.command import Command, Result

SOURCES = Path(__file__).parents[2] / "src"
"""For a process of its own."""


def run(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "bootslang", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_help_lists_every_command_with_the_first_words_of_its_own_help(bootslang: Command) -> None:
    shown = bootslang("--help")
    assert (shown.code, shown.err) == (0, "")
    for name, summary in COMMANDS.items():
        command = import_module(f"bootslang.cli.{name}").command
        assert isinstance(command, click.Command)
        first = " ".join((command.help or "").split("\n\n")[0].split())
        assert first.startswith(summary.rstrip("."))
        assert f"  {name:9}  {summary}\n" in shown.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(bootslang: Command, name: str) -> None:
    shown = bootslang(name, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert "\nExamples:\n" in shown.out
    assert f"    bootslang {name} " in shown.out or f"    bootslang {name}\n" in shown.out


def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bootslang.cli import main; main(['--help']);"
        "heavy = {'rich', 'xxhash', 'elftools', 'qemu', 'asyncio', 'llvmlite', 'bootslang.image', 'bootslang.slang'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ended = run(code=code)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_a_command_it_shows_its_help(bootslang: Command) -> None:
    shown = bootslang()
    assert shown.code == 2
    assert shown.err.startswith("Usage: bootslang [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("line", "error", "whose"),
    [
        ("buidl", "There is no command 'buidl'. Did you mean 'build'?", "bootslang"),
        ("frobnicate", "There is no command 'frobnicate'.", "bootslang"),
        ("verify", "Missing argument 'DISK|BUNDLE'.", "bootslang verify"),
        ("build disk.img", "Missing option '-k' / '--kernel'.", "bootslang build"),
        ("run --kidn ide x", "No such option '--kidn'. Did you mean '--kind'?", "bootslang run"),
        ("run --timeout soon x", "Invalid value for '--timeout': 'soon' is not a valid float range.", "bootslang run"),
        ("run a.img b.img", "Got unexpected extra argument (b.img).", "bootslang run"),
        (
            "build -k k --disk-signature x d",
            "Invalid value for '--disk-signature': 'x' is no number, as 0x1234abcd is.",
            "bootslang build",
        ),
        ("compile --base x f.py", "Invalid value for '--base': 'x' is no address, as 0x7c00 is.", "bootslang compile"),
        ("initramfs -o x", "Give either a directory or --busybox.", "bootslang initramfs"),
        (
            "initramfs -o x --run ls rootfs",
            "--program, --module, --file and --run are for --busybox.",
            "bootslang initramfs",
        ),
        (
            "initramfs -o x --busybox --file a",
            "Invalid value for '--file': 'a' is not of the form PATH=FILE.",
            "bootslang initramfs",
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_two_lines(bootslang: Command, line: str, error: str, whose: str) -> None:
    text = f"bootslang: error: {error}\n  '{whose} --help' shows what it takes.\n"
    assert bootslang(*line.split()) == Result(2, "", text)


SURPRISE = """\
bootslang: internal error: ZeroDivisionError: division by zero
  This is a mistake in Bootslang, not yours. Please report it, with the command that you gave and what
  it prints when the environment variable BOOTSLANG_DEBUG=1 is set.
"""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CheckFailed("Bad."), Result(1, "", "bootslang: error: Bad.\n")),
        (
            ToolMissing("No QEMU.", hint="Install it.\nOr not."),
            Result(3, "", "bootslang: error: No QEMU.\n  Install it.\n  Or not.\n"),
        ),
        (GuestTimeout("Too slow."), Result(5, "", "bootslang: error: Too slow.\n")),
        (
            PermissionError(13, "Permission denied", "disk.img"),
            Result(4, "", "bootslang: error: disk.img: Permission denied.\n"),
        ),
        (KeyboardInterrupt(), Result(130, "", "\n")),
        (ZeroDivisionError("division by zero"), Result(70, "", SURPRISE)),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(
    bootslang: Command, monkeypatch: pytest.MonkeyPatch, kernel: Path, error: BaseException, expected: Result
) -> None:
    def fail(_codecs: tuple[str, ...], _bits: frozenset[int]) -> object:
        raise error

    monkeypatch.setattr(builder, "linked_stages", fail)
    assert bootslang("build", "-k", str(kernel), "disk.img") == expected
    assert not Path("disk.img").exists()


def test_the_debug_variable_shows_the_traceback(bootslang: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOTSLANG_DEBUG", "1")
    ended = bootslang("verify", "nowhere.img")
    assert ended.code == 4
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith("\nbootslang: error: nowhere.img cannot be read: No such file or directory.\n")


def test_a_process_of_its_own_ends_with_the_code() -> None:
    assert run("--version").returncode == 0
    assert run("verify").returncode == 2
    missing = run("verify", "nowhere.img")
    assert (missing.returncode, missing.stdout) == (4, "")
    assert missing.stderr == "bootslang: error: nowhere.img cannot be read: No such file or directory.\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_gets_its_completion(shell: str) -> None:
    ended = run(_BOOTSLANG_COMPLETE=f"{shell}_source")
    assert "_BOOTSLANG_COMPLETE" in ended.stdout


def test_completion_knows_the_commands() -> None:
    ended = run(_BOOTSLANG_COMPLETE="bash_complete", COMP_WORDS="bootslang in", COMP_CWORD="1")
    assert ended.stdout == "plain,inspect\nplain,initramfs\n"

"""Does the printed line lead gdb through stage 4's Python source?"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootslang import Image, Loader, debugger
from bootslang.boot.lift import payload
from bootslang.kernel.debian import cloud_kernel, i386_kernel
from support.disks import elf_kernel, fake_stages
from support.elf_writer import Elf

LINE = "part.kind = record.kind"
"""A line of stage 4: the manifest's first blob is entered."""
FUNCTION_LINES = 6
"""How many follow it there: the optimiser decides which of them comes next."""
SOURCES = Path(debugger.__file__).parents[1]


@contextmanager
def waiting_machine(*options: str) -> Iterator[str]:
    """A machine that `bootslang run --gdb` started, and the line that it printed."""
    command = [sys.executable, "-m", "bootslang", "run", "--gdb", "--timeout", "120", *options]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        yield next(line.strip() for line in process.stderr if line.startswith("  gdb "))
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.machine
@pytest.mark.parametrize(
    ("symbols", "options"),
    [
        ("lift64", ("disk.img",)),
        ("lift32", ("disk.img", "--cpu", "pentium3")),
        ("loader", ("--kernel", "sealed", "--machine", "q35")),
    ],
)
def test_gdb_stops_at_a_line_of_stage_4_and_steps(symbols: str, options: tuple[str, ...]) -> None:
    if symbols == "loader":
        Loader(kernel=cloud_kernel()).build("sealed")
    else:
        Image(kernel=cloud_kernel() if symbols == "lift64" else i386_kernel(), codec="bzip2").build("disk.img")
    source = Path(str(payload.__file__)).read_text().splitlines()
    number = next(number for number, line in enumerate(source, 1) if LINE in line)
    with waiting_machine(*options) as line:
        assert f"{symbols}-" in line
        steps = f"-ex 'hbreak payload.py:{number}' -ex continue -ex 'info registers rip' -ex next"
        seen = subprocess.run(  # noqa: S602 - the line is for a shell
            f"{line.replace('gdb -q', 'gdb -q -batch -nx', 1)} {steps}",
            shell=True,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    stop, _, step = seen.stdout.partition("\nrip ")
    assert re.search(rf"^Breakpoint 1, .* at bootslang/boot/lift/payload\.py:{number}$", stop, re.MULTILINE), seen
    assert re.search(rf"\n{number}\t +{re.escape(LINE)}", stop)
    shown = re.search(r"^(\d+)\t(.*)$", step, re.MULTILINE)
    assert shown, seen
    assert int(shown[1]) in range(number + 1, number + FUNCTION_LINES + 1)
    assert shown[2] == source[int(shown[1]) - 1]


def test_every_stage_s_symbols_are_there_once() -> None:
    Image(kernel=elf(), codec="bzip2").build("disk.img")
    session = debugger.session_for("disk.img", 1234, cpu="qemu64,+rdrand")
    assert [path.name.partition("-")[0] for path in session.symbols] == ["stage1", "stage2", "stage3", "lift64"]
    assert session.fits
    assert session == debugger.session_for("disk.img", 1234)
    assert session.command().endswith("-ex 'target remote 127.0.0.1:1234'")


def test_a_cpu_without_long_mode_has_a_stage_4_where_the_kernel_is_32_bit() -> None:
    """Is the stage 4 taken that will run: the CPU's where the disk has both, none where the machine stops before?"""
    Path("i386").write_bytes(Elf(bits=32).build())
    found = []
    for kernel in ("vmlinux", "i386", "i386", "i386"):
        Image(kernel=elf() if kernel == "vmlinux" else kernel).build("disk.img")
        sessions = [debugger.session_for("disk.img", 1234, cpu=cpu) for cpu in ("pentium3", "qemu64")]
        assert all(session.fits for session in sessions)
        found.append([session.symbols[-1].name.partition("-")[0] for session in sessions])
    assert found == [["stage3", "lift64"], ["lift32", "lift64"], ["lift32", "lift64"], ["lift32", "lift32"]]


def test_a_loader_of_another_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootslang.image.builder.linked_stages", fake_stages)
    Image(kernel=elf()).build("disk.img")
    assert not debugger.session_for("disk.img", 1234).fits


@pytest.mark.parametrize("codec", ["none", "bzip2"])
def test_a_loader_s_symbols_are_those_of_its_codecs(codec: str) -> None:
    Loader(kernel=elf(), codec=codec).build("sealed")
    session = debugger.session_for_loader("sealed", 1234)
    assert session is not None
    (symbols,) = session.symbols
    assert (b"codecs.bzip2" in symbols.read_bytes()) == (codec == "bzip2")


def test_a_kernel_that_is_no_loader_has_no_session() -> None:
    assert debugger.session_for_loader(elf(), 1234) is None


def elf() -> Path:
    path = Path("vmlinux")
    path.write_bytes(elf_kernel(300_000))
    return path

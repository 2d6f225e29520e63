"""Does gdb find the lines of Python files, and the values of variables, in what the compiler makes?"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bootslang import rocket
from bootslang.boot.lift import memory_map
from bootslang.slang.emission import compile_file

PROGRAM = '''"""A program to be looked at."""

from typing import NoReturn

from bootslang.slang import asm, compile_for, fn, halt, span, u8, u32

compile_for("protected32")

total: u32 = 0


@fn(inline=False)
def add(number: u32, times: u32) -> u32:
    global total
    for _ in range(times):
        total += number
    return total


@fn(section=".start")
def start() -> NoReturn:
    add(5, 7)
    halt()


@fn(provides="write")
def write(data: span[u8]) -> None:
    del data
'''


def gdb(elf: Path, *commands: str) -> str:
    options = [option for command in commands for option in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-batch", "-nx", *options, str(elf)], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    source = folder / "looked_at.py"
    source.write_text(PROGRAM.replace("    del data\n", "    return\n"), encoding="utf-8")
    elf = folder / "looked_at.elf"
    elf.write_bytes(compile_file(source, emit="elf"))
    return elf


def test_lines_of_a_program_have_addresses(program: Path) -> None:
    line = PROGRAM.splitlines().index("        total += number") + 1
    answer = gdb(program, f"info line looked_at.py:{line}")
    assert f'Line {line} of "looked_at.py"' in answer or f"Line {line} of" in answer
    assert "starts at address 0x10" in answer
    assert "add" in gdb(program, "info functions add")


def test_parameters_have_names_and_types(program: Path) -> None:
    answer = gdb(program, "info scope looked_at.add")
    assert "Symbol number" in answer
    assert "Symbol times" in answer


@pytest.mark.parametrize("name", ["lift32", "lift64"])
def test_lines_of_stage_4_have_addresses(name: str, tmp_path: Path) -> None:
    image = getattr(rocket, name)()
    elf = tmp_path / f"{name}.elf"
    elf.write_bytes(image.elf)
    path = Path(memory_map.__file__)
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("@fn"))
    answers = gdb(elf, *(f"info line memory_map.py:{line}" for line in range(first, len(lines))))
    assert answers.count("starts at address") > 10
    assert "bootslang/boot/lift/memory_map.py" in answers

"""Does the page on the hand-off tell the structs, numbers and limits of the code, and do its kernels start?"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bootslang.boot import handoff
from bootslang.boot.lift import paging
from bootslang.boot.lift.handoff import addresses, kernel, machine
from bootslang.boot.lift.segment import MAX_SEGMENTS
from bootslang.slang import Struct, types
from bootslang.slang.memory import HOST_POINTER_BYTES
from support.command import Command

PAGE = (Path(__file__).parents[2] / "docs" / "handoff.md").read_text()
WORDS = " ".join(PAGE.split())
STRUCTS = (
    handoff.BootInformation,
    handoff.MemoryRegion,
    handoff.ModuleInformation,
    handoff.FramebufferInformation,
)


def type_name(kind: Any) -> str:
    if isinstance(kind, types.ArrayType):
        return f"{type_name(kind.element.type)}[{kind.count}]"
    return kind.python.__name__ if isinstance(kind, types.StructType) else str(kind)


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_where_the_page_says(struct: type[Struct]) -> None:
    section = PAGE.split(f"### {struct.__name__}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\d+) \| (\S+) \| `(\w+)` \|", section, re.MULTILINE)
    fields = types.layout_of(struct, HOST_POINTER_BYTES).fields.values()
    assert rows == [(str(field.offset), type_name(field.cell.type), field.name) for field in fields]


def test_fields_lie_as_c_puts_them() -> None:
    """Each at a multiple of its size, so that no compiler adds a gap."""
    for struct in STRUCTS:
        for field in types.layout_of(struct, HOST_POINTER_BYTES).fields.values():
            kind = field.cell.type
            element = kind.element.type if isinstance(kind, types.ArrayType) else kind
            size = 8 if isinstance(element, types.StructType) else types.size_of(element, HOST_POINTER_BYTES)
            assert field.offset % size == 0


def test_every_kind_of_memory_has_its_number() -> None:
    rows = dict(re.findall(r"^\| ([A-Z_]+) \| (0x\w+) \|", PAGE, re.MULTILINE))
    kinds = {name: value for name, value in vars(handoff).items() if name.startswith("MEMORY_")}
    assert {f"MEMORY_{name}": int(number, 16) for name, number in rows.items()} == kinds


def test_the_registers_are_those_that_are_set() -> None:
    state = dict(re.findall(r"^\| (\w+) \| (0x\w+)\b", PAGE, re.MULTILINE))
    assert int(state["CR0"], 16) == machine.CR0
    assert int(state["CR4"], 16) == machine.CR4
    assert int(state["EFER"], 16) == paging.EFER_LME | machine.EFER_LMA | machine.EFER_NXE
    assert int(state["RFLAGS"], 16) == machine.FLAGS
    assert int(state["TR"], 16) == machine.TASK
    assert f"MXCSR {machine.MXCSR:#x}".replace("0x1f", "0x1F") in WORDS


def test_the_limits_are_those_of_the_reader() -> None:
    assert f"at most {MAX_SEGMENTS} program headers" in WORDS
    assert kernel.MAX_BYTES == addresses.GIB
    assert "may be at most 1 GiB apart" in WORDS
    assert kernel.MAX_ALIGNMENT == 2 << 20
    assert "an alignment above 2 MiB" in WORDS
    assert handoff.STACK_BYTES == 128 << 10
    assert "**The stack** has 128 KiB." in WORDS
    assert f"from 0x{0x1000:X} to 0x{kernel.LOW_HALF_END - 1:X}" in WORDS
    assert f"from 0x{kernel.HIGH_HALF:X} to 0x{kernel.LAST_PAGE - 1:X}" in WORDS
    assert f"0x{addresses.KERNEL:X}" in WORDS
    assert f"Its base is 0x{addresses.DIRECT_MAP:X}" in WORDS
    assert addresses.WINDOW_BYTES == 2 << 20


def test_magic_version_and_note_are_the_protocol_s() -> None:
    assert f"0x{handoff.MAGIC:X}, `BOOTSLNG`" in WORDS
    assert f"This is version {handoff.VERSION} of the protocol" in WORDS
    assert f"name `{handoff.NOTE_NAME.decode()}`, type {handoff.NOTE_TYPE}" in WORDS
    doors = {name: value for name, value in vars(handoff).items() if name.startswith("DOOR_")}
    said = re.search(r"what started the loader: (.*?)\.", WORDS)
    assert said
    assert {
        f"DOOR_{name.replace(' disk', '').replace(' ', '').upper()}": int(number)
        for number, name in re.findall(r"(\d) ([^,]+)", said[1])
    } == doors


@pytest.mark.machine
@pytest.mark.parametrize(
    ("language", "file", "said"),
    [
        ("python", "hello.py", rf"^0x0000000000100000 0x\w+ {handoff.MEMORY_RAM:#x}\r?$"),
        ("c", "hello.c", "^Hello, machine!"),
    ],
)
def test_its_kernels_start(bootslang: Command, language: str, file: str, said: str) -> None:
    shown = re.search(rf"```{language}\n(.*?)```\n\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    Path(file).write_text(shown[1])
    console = ""
    for line in shown[2].splitlines():
        program, *arguments = shlex.split(line)
        if program == "bootslang":
            result = bootslang(*arguments)
            assert result.code == 0, result
            console = result.out
        else:
            subprocess.run([program, *arguments], check=True, timeout=60)
    assert re.search(said, console, re.MULTILINE), console

"""Do C, Rust and slang mean the same by the hand-off protocol, and can kernels be built with what they are given?"""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from bootslang import handoff_header
from bootslang.boot import handoff
from bootslang.errors import UsageError
from bootslang.header.c import type_name
from bootslang.header.model import ADDRESSES, BYTES, TEXT, protocol
from bootslang.header.text import COLUMNS
from bootslang.kernel import Kernel, KernelKind
from bootslang.slang import Struct, offsetof, sizeof
from bootslang.slang.emission import compile_file

RUSTC: Final = "/usr/bin/rustc"
"""Debian's 1.63, the oldest that has to do, whatever else is installed."""
STRUCTS: Final = {name: kind for name, kind in vars(handoff).items() if name.endswith(("Region", "Information"))}
NUMBERS: Final = {name: value for name, value in vars(handoff).items() if name.isupper() and isinstance(value, int)}

Facts = dict[str, tuple[int, ...]]
"""Of each constant its value, of each struct its size, of each field its offset and size."""


def fields(struct: type[Struct]) -> list[str]:
    return [name for name in struct.__annotations__ if not name.startswith("_")]


def facts_of(module: ModuleType) -> Facts:
    """What a slang module says."""
    found: Facts = {name: (getattr(module, name),) for name in NUMBERS}
    for name in STRUCTS:
        struct = getattr(module, name)
        places = [offsetof(struct, field) for field in fields(struct)]
        ends = [*places[1:], sizeof(struct)]
        found[name] = (sizeof(struct),)
        for field, place, end in zip(fields(struct), places, ends, strict=True):
            found[f"{name}.{field}"] = (place, end - place)
    return found


def told(program: Path) -> Facts:
    """What a program prints."""
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: tuple(map(int, numbers)) for name, *numbers in map(str.split, lines)}


def run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def c_program() -> Iterator[str]:
    yield '#include <stddef.h>\n#include <stdio.h>\n#include "bootslang.h"\nint main(void) {'
    for name in NUMBERS:
        yield f'    printf("{name} %lld\\n", (long long)BOOTSLANG_{name});'
    for name, struct in STRUCTS.items():
        kind = type_name(name)
        yield f'    printf("{name} %zu\\n", sizeof({kind}));'
        for field in fields(struct):
            size = f"sizeof((({kind} *)0)->{field})"
            yield f'    printf("{name}.{field} %zu %zu\\n", offsetof({kind}, {field}), {size});'
    yield "    return 0;\n}"


def rust_program() -> Iterator[str]:
    yield "mod bootslang;\nuse bootslang::*;"
    yield "fn size<T>(_: *const T) -> usize { std::mem::size_of::<T>() }\nfn main() {"
    for name in NUMBERS:
        yield f'    println!("{name} {{}}", {name});'
    for name, struct in STRUCTS.items():
        yield f'    println!("{name} {{}}", std::mem::size_of::<{name}>());'
        yield f"    let place = std::mem::MaybeUninit::<{name}>::uninit();"
        for field in fields(struct):
            yield f"    let field = unsafe {{ std::ptr::addr_of!((*place.as_ptr()).{field}) }};"
            offset = "field as usize - place.as_ptr() as usize"
            yield f'    println!("{name}.{field} {{}} {{}}", {offset}, size(field));'
    yield "}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The three headers, as a kernel's sources have them."""
    for language, name in (("c", "bootslang.h"), ("rust", "bootslang.rs"), ("slang", "protocol.py")):
        (tmp_path / name).write_text(handoff_header(language))
    return tmp_path


@pytest.fixture
def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same folder, where Python finds its modules."""
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("protocol", None)


@pytest.mark.parametrize(
    ("compiler", "suffix"), [(["gcc", "-std=c11"], "c"), (["g++", "-std=c++11"], "cc")], ids=["C", "C++"]
)
def test_c_and_slang_mean_the_same(folder: Path, compiler: list[str], suffix: str) -> None:
    source = folder / f"facts.{suffix}"
    source.write_text("\n".join(c_program()))
    run(*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", source, "-o", folder / "facts")
    assert told(folder / "facts") == facts_of(handoff)


def test_rust_and_slang_mean_the_same(folder: Path) -> None:
    (folder / "facts.rs").write_text("\n".join(rust_program()))
    run(RUSTC, "--edition", "2021", "-D", "warnings", folder / "facts.rs", "-o", folder / "facts")
    assert told(folder / "facts") == facts_of(handoff)


@pytest.mark.usefixtures("importable")
def test_the_module_for_slang_is_the_definition() -> None:
    module = importlib.import_module("protocol")
    assert facts_of(module) == facts_of(handoff)
    assert module.NOTE_NAME == handoff.NOTE_NAME


def test_assembly_has_the_numbers(folder: Path) -> None:
    (folder / "numbers.S").write_text('#include "bootslang.h"\n.quad BOOTSLANG_MAGIC\n.long BOOTSLANG_MEMORY_KERNEL\n')
    run("gcc", "-c", folder / "numbers.S", "-o", folder / "numbers.o")
    run("objcopy", "-O", "binary", "-j", ".text", folder / "numbers.o", folder / "numbers.bin")
    assert (folder / "numbers.bin").read_bytes() == b"BOOTSLNG" + (0x1002).to_bytes(4, "little")


@pytest.mark.parametrize("language", ["c", "rust", "slang"])
def test_it_is_pleasant_to_read(language: str) -> None:
    """Are all comments there, is no line too long, and no end of one loose?"""
    text = handoff_header(language)
    lines = text.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert all(line == line.rstrip() for line in lines)
    assert "\n\n\n" not in text.replace("\n\n\nclass", "").replace("\n\n\n# The", "")
    words = " ".join(text.replace("*", " ").replace("//!", " ").replace("///", " ").split())
    assert "XXH64, seed 0, of its bytes." in words
    assert "RAM once the kernel no longer needs them." in words
    assert "[5] just before the kernel" in words
    assert text == handoff_header(language)


def test_every_address_says_how_much_is_there() -> None:
    structures = {structure.name: {field.name for field in structure.fields} for structure in protocol().structures}
    for place, (target, count) in ADDRESSES.items():
        struct, _, field = place.partition(".")
        assert {field, count} <= structures[struct]
        assert target in {TEXT, BYTES, *structures}


def test_another_language() -> None:
    with pytest.raises(UsageError) as caught:
        handoff_header("cobol")
    assert str(caught.value) == "There is no header for 'cobol'.\nChoose one of: c, rust, slang."


C_KERNEL: Final = """\
#include "bootslang.h"

BOOTSLANG_NOTE;

static uint64_t regions;
static uint64_t *volatile counted = &regions;

void start(const struct bootslang_boot_information *information)
{
    if (information->magic == BOOTSLANG_MAGIC && information->command_line[0])
        for (uint64_t at = 0; at < information->memory_count; at++)
            *counted += information->memory[at].kind == BOOTSLANG_MEMORY_RAM;
    for (;;)
        __asm__ volatile ("hlt");
}
"""
RUST_KERNEL: Final = """\
#![no_std]
#![no_main]

mod bootslang;

#[no_mangle]
pub extern "C" fn start(information: &'static bootslang::BootInformation) -> ! {
    if information.magic == bootslang::MAGIC {
        for region in unsafe { information.memory() } {
            unsafe { core::ptr::write_volatile(region.base as *mut u8, information.command_line().len() as u8) };
        }
    }
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
"""
SLANG_KERNEL: Final = """\
from typing import NoReturn

from bootslang.slang import asm, compile_for, fn, u32, usize

from protocol import MAGIC, BootInformation

compile_for("long64")


@fn(section=".start")
def start(address: usize) -> NoReturn:
    information = BootInformation.at(address)
    if information.magic == MAGIC:
        for region in information.memory_span():
            region.reserved = u32(len(information.command_line_span()))
    while True:
        asm("hlt")
"""
GCC: Final = ("gcc", "-O1", "-Wall", "-Werror", "-ffreestanding", "-nostdlib", "-fcf-protection=none")


@pytest.mark.parametrize(
    ("options", "position_independent", "relocations"),
    [
        (("-static-pie", "-fpie"), True, 1),
        (("-static", "-fno-pie", "-mcmodel=kernel", "-Wl,-Ttext-segment=0xffffffff80000000"), False, 0),
        (("-static", "-fno-pie"), False, 0),
    ],
    ids=["position-independent", "high", "low"],
)
def test_a_kernel_in_c(folder: Path, options: tuple[str, ...], position_independent: bool, relocations: int) -> None:  # noqa: FBT001
    """Does gcc make of the header a kernel that is taken, by its note alone?"""
    (folder / "kernel.c").write_text(C_KERNEL)
    run(*GCC, *options, "-e", "start", folder / "kernel.c", "-o", folder / "kernel.elf")
    kernel = Kernel.read(folder / "kernel.elf")
    assert kernel.kind is KernelKind.HANDOFF
    assert kernel.handoff is not None
    assert kernel.handoff.position_independent == position_independent
    assert kernel.handoff.relocations == relocations
    assert b"Bootslang\0\0\0\1\0\0\0" in (folder / "kernel.elf").read_bytes()


def test_a_kernel_in_rust(folder: Path) -> None:
    (folder / "kernel.rs").write_text(RUST_KERNEL)
    options = ["-O", "-C", "panic=abort", "-C", "relocation-model=pie", "-D", "warnings"]
    linked = ["-nostdlib", "-nostartfiles", "-static-pie", "-Wl,-e,start"]
    arguments = [word for option in linked for word in ("-C", f"link-arg={option}")]
    run(RUSTC, "--edition", "2021", *options, *arguments, folder / "kernel.rs", "-o", folder / "kernel.elf")
    kernel = Kernel.read(folder / "kernel.elf")
    assert kernel.handoff is not None
    assert kernel.handoff.position_independent
    assert b"Bootslang\0\0\0\1\0\0\0" in (folder / "kernel.elf").read_bytes()


def test_a_kernel_in_slang(importable: Path) -> None:
    (importable / "kernel.py").write_text(SLANG_KERNEL)
    made = compile_file(importable / "kernel.py", target="kernel", emit="elf")
    assert isinstance(made, bytes)
    kernel = Kernel.read(made)
    assert kernel.handoff is not None
    assert kernel.handoff.position_independent

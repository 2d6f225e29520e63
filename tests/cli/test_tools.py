"""Do initramfs, compile, check, doctor and man do what the API does, and how does each refuse?"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from bootslang.cli.app import COMMANDS
from bootslang.initramfs import directory_initramfs
from support.command import Command, Result

HELLO = '''\
"""A boot sector that prints an exclamation mark."""

from bootslang.slang import asm, compile_for, fn

compile_for("real16")


@fn(naked=True, section=".start")
def entry() -> None:
    asm("""
        mov ax, 0x0e21
        int 0x10
    2:  hlt
        jmp 2b
    """)
'''
BAD = '''\
"""A mistake."""

from bootslang.slang import fn, u8


@fn
def too_much() -> u8:
    number: u8 = 256
    return number
'''


def test_a_directory_becomes_an_initramfs(bootslang: Command) -> None:
    Path("rootfs").mkdir()
    Path("rootfs/init").write_text("#!/bin/sh\n")
    packed = bootslang("initramfs", "rootfs", "-o", "initrd.gz")
    size = Path("initrd.gz").stat().st_size
    assert packed == Result(0, f"initrd.gz: 4 entries, {size} bytes\n", "")
    assert Path("initrd.gz").read_bytes() == directory_initramfs("rootfs").to_bytes()


def test_a_tree_without_init_is_told(bootslang: Command) -> None:
    Path("rootfs").mkdir()
    packed = bootslang("initramfs", "rootfs", "-o", "initrd.cpio", "--no-compress")
    assert packed.err == "warning: there is no /init; Linux will mount what root= names instead\n"
    assert Path("initrd.cpio").read_bytes().startswith(b"070701")


def test_the_small_system_takes_files_and_commands(bootslang: Command) -> None:
    Path("hello.sh").write_text("echo hello\n")
    words = ["--busybox", "--file", "bin/hello=hello.sh", "--run", "hello", "--no-compress", "-o", "initrd"]
    assert bootslang("initramfs", *words).code == 0
    listed = subprocess.run(["cpio", "-it"], input=Path("initrd").read_bytes(), capture_output=True, check=True)
    assert {b"bin/busybox", b"bin/hello", b"etc/start", b"dev/console", b"init"} <= set(listed.stdout.split())


def test_a_host_without_busybox_is_told_what_to_install(bootslang: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert bootslang("initramfs", "--busybox", "-o", "x") == Result(
        3,
        "",
        "bootslang: error: busybox is not installed.\n"
        "  Install a static one (Debian: apt install busybox-static), or say where one is.\n",
    )


def test_compile_makes_a_boot_sector(bootslang: Command) -> None:
    Path("sector.py").write_text(HELLO)
    assert bootslang("compile", "sector.py") == Result(0, "sector.bin: 8 bytes\n", "")
    assert Path("sector.bin").read_bytes() == bytes.fromhex("b8210e cd10 f4 ebfd")


@pytest.mark.parametrize(
    ("emit", "words"),
    [("ir", "define void @"), ("asm", "\t.code16\n"), ("map", "hello_map, from 0x600 to 0x608, entered at 0x600\n")],
)
def test_compile_prints_texts(bootslang: Command, emit: str, words: str) -> None:
    Path(f"hello_{emit}.py").write_text(HELLO)
    made = bootslang("compile", "--emit", emit, "--base", "0x600", f"hello_{emit}.py")
    assert (made.code, made.err) == (0, "")
    assert words in made.out


@pytest.mark.parametrize("emit", ["obj", "elf"])
def test_compile_writes_elf_files(bootslang: Command, emit: str) -> None:
    Path(f"hello_{emit}.py").write_text(HELLO)
    assert bootslang("compile", "--emit", emit, "-o", "out", f"hello_{emit}.py").code == 0
    assert Path("out").read_bytes().startswith(b"\x7fELF\x01")


@pytest.mark.parametrize(("words", "kind"), [([], "DYN"), (["--base", "0x200000"], "EXEC")])
def test_compile_makes_a_kernel(bootslang: Command, words: list[str], kind: str) -> None:
    Path("hello_kernel.py").write_text(HELLO)
    assert bootslang("compile", "--target", "kernel", *words, "hello_kernel.py").code == 0
    shown = subprocess.run(["readelf", "-h", "hello_kernel.elf"], capture_output=True, text=True, check=True)
    assert f"{kind} (" in shown.stdout


def test_a_kernel_is_no_flat_image(bootslang: Command) -> None:
    Path("flat_kernel.py").write_text(HELLO)
    assert bootslang("compile", "--target", "kernel", "--emit", "bin", "flat_kernel.py") == Result(
        2,
        "",
        "bootslang: error: a kernel is no flat image\n  Write --emit elf, or compile for --target long64.\n",
    )


def test_compile_prints_the_compiler_s_findings(bootslang: Command) -> None:
    Path("bad.py").write_text(BAD)
    made = bootslang("compile", "bad.py")
    assert (made.code, made.out) == (4, "")
    assert made.err.startswith("bad.py:8:18: error: ")


def test_compile_knows_its_targets(bootslang: Command) -> None:
    Path("sector2.py").write_text(HELLO)
    assert bootslang("compile", "--target", "arm64", "sector2.py") == Result(
        2,
        "",
        "bootslang: error: there is no target arm64\n  The targets are real16, protected32, long64, kernel.\n",
    )


def test_check_reports_and_ends_with_1(bootslang: Command) -> None:
    Path("good.py").write_text(HELLO)
    Path("worse.py").write_text(BAD)
    assert bootslang("check", "good.py") == Result(0, "", "")
    found = bootslang("check", "good.py", "worse.py")
    assert (found.code, found.err) == (1, "1 found.\n")
    assert found.out.startswith("worse.py:8:18: error: ")
    assert "8 |     number: u8 = 256\n  |                  ^^^\n" in found.out


def test_check_of_a_file_that_is_not_there(bootslang: Command) -> None:
    assert bootslang("check", "nowhere.py") == Result(
        4, "", "bootslang: error: nowhere.py cannot be read: No such file or directory\n"
    )


def test_doctor_finds_what_is_here(bootslang: Command) -> None:
    told = bootslang("doctor")
    assert (told.code, told.err) == (0, "")
    assert "ok      QEMU: " in told.out
    assert "ok      llvmlite: " in told.out
    findings = json.loads(bootslang("doctor", "--json").out)
    assert {"name", "found", "detail", "needed_for", "required", "remedy"} == set(findings[0])
    assert {finding["name"] for finding in findings} >= {
        "Python",
        "QEMU",
        "KVM",
        "mke2fs",
        "busybox",
        "gdb",
        "llvmlite",
    }


def test_doctor_misses_what_is_required(bootslang: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name, **_options: None)
    told = bootslang("doctor")
    assert told.code == 3
    assert (
        "MISSING QEMU: qemu-system-x86_64 is not installed\n"
        "          needed for `run`\n"
        "          Install QEMU for x86: `apt install qemu-system-x86` (Debian, Ubuntu), "
    ) in told.out
    assert (
        "no      gdb: not installed\n"
        "          needed for stepping through boot code (`run --gdb`)\n"
        "          Install it with your system's packages: `apt install gdb` (Debian, Ubuntu).\n"
    ) in told.out


def test_the_manual_has_every_command_and_groff_has_no_complaint(bootslang: Command) -> None:
    page = bootslang("man")
    assert (page.code, page.err) == (0, "")
    for name in COMMANDS:
        assert f"\n.SS bootslang {name} " in page.out
    shown = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c", "-P-b", "-P-u"],
        input=page.out,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    assert "EXIT STATUS" in shown.stdout

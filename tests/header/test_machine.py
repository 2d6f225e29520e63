"""Do kernels in C and Rust that include our headers find on a machine what the headers promise?"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from bootslang import Image, Machine, handoff_header
from bootslang.emulator import PASS

pytestmark = pytest.mark.machine

C_KERNEL: Final = """\
#include "bootslang.h"

BOOTSLANG_NOTE;

static void out(uint16_t port, char value) { __asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"(port)); }

static void put(const char *text, uint64_t size)
{
    while (size--)
        out(0x3F8, *text++);
}

static const char *volatile separator = ": ";

void start(const struct bootslang_boot_information *information)
{
    put(information->command_line, information->command_line_size);
    put("\\n", 1);
    for (uint64_t at = 0; at < information->module_count; at++) {
        const struct bootslang_module_information *module = &information->modules[at];
        put(module->name, module->name_size);
        put(separator, 2);
        put(module->address, module->size);
        put("\\n", 1);
    }
    out(0xF4, PASSED);
    for (;;)
        __asm__ volatile("hlt");
}
"""
RUST_KERNEL: Final = """\
#![no_std]
#![no_main]

mod bootslang;

fn out(port: u16, value: u8) {
    unsafe { core::arch::asm!("out dx, al", in("dx") port, in("al") value) }
}

fn put(text: &[u8]) {
    for byte in text {
        out(0x3F8, *byte);
    }
}

static SEPARATOR: &[u8] = b": ";

#[no_mangle]
pub extern "C" fn start(information: &'static bootslang::BootInformation) -> ! {
    put(unsafe { information.command_line() });
    put(b"\\n");
    for module in unsafe { information.modules() } {
        put(unsafe { module.name() });
        put(SEPARATOR);
        put(unsafe { module.address() });
        put(b"\\n");
    }
    out(0xF4, PASSED);
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
"""


def in_c(folder: Path) -> Path:
    (folder / "bootslang.h").write_text(handoff_header("c"))
    (folder / "kernel.c").write_text(C_KERNEL.replace("PASSED", str(PASS)))
    options = ["-O2", "-Wall", "-Werror", "-ffreestanding", "-fno-stack-protector", "-mno-red-zone", "-nostdlib"]
    command = ["gcc", *options, "-fpie", "-static-pie", "-e", "start", "kernel.c", "-o", "kernel.elf"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "kernel.elf"


def in_rust(folder: Path) -> Path:
    (folder / "bootslang.rs").write_text(handoff_header("rust"))
    (folder / "kernel.rs").write_text(RUST_KERNEL.replace("PASSED", str(PASS)))
    linked = ["-nostdlib", "-nostartfiles", "-static-pie", "-Wl,-e,start"]
    options = ["--edition=2021", "-Cpanic=abort", *(f"-Clink-arg={option}" for option in linked)]
    command = ["/usr/bin/rustc", "-O", *options, "kernel.rs", "-o", "kernel.elf"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "kernel.elf"


@pytest.mark.parametrize("kernel", [in_c, in_rust])
def test_a_kernel_reads_its_command_line_and_modules(tmp_path: Path, kernel: Callable[[Path], Path]) -> None:
    """Do addresses in its data lead where they should, although it lies where it was not linked?"""
    (tmp_path / "poem.txt").write_text("a few words")
    (tmp_path / "a-name-too-long-to-keep.txt").write_text("others")
    modules = [tmp_path / "poem.txt", tmp_path / "a-name-too-long-to-keep.txt"]
    disk = tmp_path / "disk.img"
    Image(kernel=kernel(tmp_path), initrds=modules, command_line="hello, kernel", randomise=True).build(disk)
    outcome = Machine(disk, accel="tcg", memory=64).run(timeout=60).check()
    assert outcome.console.replace("\r", "").endswith(
        "hello, kernel\npoem.txt: a few words\na-name-too-long-to-k: others\n"
    )

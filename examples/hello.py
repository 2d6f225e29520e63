"""A 64-bit kernel in slang: it prints the memory it was given, checks the machine, and ends QEMU with its own code.

    bootslang compile --target kernel hello.py -o hello.elf
    bootslang build -k hello.elf -c "a text for the kernel" disk.img
    bootslang run disk.img

docs/own-kernel.md goes through it; docs/handoff.md says what it finds when it starts.
"""

from typing import Final, NoReturn

from bootslang.boot.handoff import MAGIC, MEMORY_RAM, VERSION, BootInformation, MemoryRegion
from bootslang.slang import compile_for, fn, halt, inb, outb, read_cr0, read_cr4, span, text, u8, u64, usize

compile_for("long64")

SERIAL: Final = 0x3F8
SERIAL_STATUS: Final = SERIAL + 5
SERIAL_READY: Final = 0x20

DEBUG_EXIT: Final = 0xF4
PASS: Final = 0x10
FAIL: Final = 0x11
"""QEMU's isa-debug-exit; for `bootslang run` PASS is success."""

CR0_PROMISED: Final = 0x8001_0003
"""PG, WP, MP, PE."""
CR0_FREE: Final = 0x30
"""NE and ET are as the CPU has them."""
CR4_PROMISED: Final = 0x620
"""OSXMMEXCPT, OSFXSR, PAE."""


@fn(section=".start")
def start(address: usize) -> NoReturn:
    """The first instruction: the stack is there, interrupts are off, and RDI has become the argument."""
    information = BootInformation.at(address)
    print(f"Hello from Python, by way of {text_at(information.door_name, information.door_name_size)}")
    print(f"command line: {text_at(information.command_line, information.command_line_size)}")
    print_memory(information)
    if not machine_is_right(information):
        print("The machine is not as it was promised.")
        end(FAIL)
    print("The machine is as it was promised.")
    end(PASS)


@fn
def text_at(address: u64, size: u64) -> span[u8]:
    return span[u8](usize(address), usize(size))


@fn
def print_memory(information: BootInformation) -> None:
    for region in span[MemoryRegion](usize(information.memory), usize(information.memory_count)):
        use = text("RAM") if region.kind == MEMORY_RAM else text("in use, or reserved")
        print(f"{region.base:#018x} {region.size:#018x} {use}")


@fn
def machine_is_right(information: BootInformation) -> bool:
    spoken = information.magic == MAGIC and information.version == VERSION
    return spoken and read_cr0() & ~CR0_FREE == CR0_PROMISED and read_cr4() == CR4_PROMISED


@fn
def end(code: u8) -> NoReturn:
    outb(DEBUG_EXIT, code)
    halt()


@fn(provides="write")
def write(message: span[u8]) -> None:
    """Where `print` goes."""
    for byte in message:
        while not inb(SERIAL_STATUS) & SERIAL_READY:
            pass
        outb(SERIAL, byte)


@fn(provides="stop")
def stop() -> NoReturn:
    """What an error that nobody catches ends with, once its message is printed."""
    end(FAIL)

"""The strict guest in slang: a position-independent kernel that asserts its machine, and tells its boot information.

guests/strict has the same in C, with more: what is asserted here is what a kernel in slang could see otherwise. Both
print the same lines, which tests/support/handoff.py reads. An error ends the machine with FAIL.
"""

from typing import Final, NoReturn

from bootslang.boot import handoff
from bootslang.boot.handoff import BootInformation, MemoryRegion, ModuleInformation
from bootslang.slang import (
    BootError,
    Struct,
    address,
    array,
    asm,
    compile_for,
    fn,
    halt,
    inb,
    outb,
    ptr,
    read_cr0,
    read_cr3,
    read_cr4,
    read_msr,
    sizeof,
    span,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("long64")

SERIAL: Final = 0x3F8
SERIAL_STATUS: Final = SERIAL + 5
SERIAL_READY: Final = 0x20
DEBUG_EXIT: Final = 0xF4
PASS: Final = 0x10
FAIL: Final = 0x11

PAGE: Final = 0x1000
ENTRIES: Final = 512
ENTRY_PRESENT: Final = 1
ENTRY_WRITABLE: Final = 2
ENTRY_LARGE: Final = 1 << 7
ENTRY_NX: Final = 1 << 63
ENTRY_ADDRESS: Final = 0x000F_FFFF_FFFF_F000
TOP_LEVEL: Final = 3

CR0: Final = 0x8001_0013
CR4: Final = 0x620
EFER: Final = 0xC000_0080
EFER_PROMISED: Final = 0xD00
FS_BASE: Final = 0xC000_0100
RFLAGS: Final = 2
NUMBERS: Final = array[u16](range(1, 1001))


class Registers(Struct):
    """As `start` has put them on the stack."""

    rax: u64
    rbx: u64
    rcx: u64
    rdx: u64
    rsi: u64
    rdi: u64
    rbp: u64
    rflags: u64
    return_address: u64


counter: u64 = 0x1234
direct_map: usize = 0
zeros: array[u64] = array[u64](1000)


@fn(naked=True, section=".start")
def start() -> None:
    """Keep the registers as they are."""
    asm(f"""
        pushfq
        push rbp
        push rdi
        push rsi
        push rdx
        push rcx
        push rbx
        push rax
        mov rsi, rsp
        call {main}
    """)


@fn
def main(information_address: usize, registers_address: usize) -> NoReturn:
    global direct_map
    information = BootInformation.at(information_address)
    direct_map = usize(information.direct_map)
    check_image()
    check_registers(information, Registers.at(registers_address))
    check_table(information, read_cr3(), TOP_LEVEL)
    check_rights(registers_address)
    check_memory(information)
    print_information(information)
    print("all is well")
    outb(DEBUG_EXIT, PASS)
    halt()


@fn
def demand(holds: bool, number: u64, place: u32) -> None:
    """An assertion; `place` tells which."""
    if not holds:
        raise BootError(f"assertion {place} does not hold: {number:#x}")


@fn
def check_image() -> None:
    """Variables have their values, .bss is zero, constants and their addresses are right."""
    global counter
    demand(counter == 0x1234, counter, 1)
    counter = 1
    for word in zeros:
        demand(word == 0, word, 2)
    sum_of_numbers: u64 = 0
    for number in NUMBERS:
        sum_of_numbers += number
    demand(sum_of_numbers == 500_500, sum_of_numbers, 3)


@fn
def check_registers(information: BootInformation, registers: Registers) -> None:
    demand(registers.rdi == information.direct_map + information.physical, registers.rdi, 10)
    demand(registers.rflags == RFLAGS, registers.rflags, 11)
    others = registers.rax | registers.rbx | registers.rcx | registers.rdx | registers.rsi | registers.rbp
    demand(others == 0, others, 12)
    demand(registers.return_address == 0, registers.return_address, 13)
    demand(read_cr0() == CR0, read_cr0(), 15)
    demand(read_cr3() == information.page_table, read_cr3(), 16)
    demand(read_cr4() == CR4, read_cr4(), 17)
    demand(read_msr(EFER) == EFER_PROMISED, read_msr(EFER), 18)
    demand(read_msr(FS_BASE) == 0, read_msr(FS_BASE), 19)


@fn
def table_at(entry: usize) -> ptr[u64]:
    return ptr[u64](direct_map + (entry & ENTRY_ADDRESS))


@fn
def check_table(information: BootInformation, address: usize, level: u32) -> None:
    """No page anywhere can be both written to and executed, and all tables are the loader's memory."""
    demand(kind_at(information, address & ENTRY_ADDRESS) == handoff.MEMORY_LOADER, address, 20)
    table = table_at(address)
    for index in range(ENTRIES):
        entry = table[index]
        if not entry & ENTRY_PRESENT:
            continue
        if level and not entry & ENTRY_LARGE:
            check_table(information, usize(entry), level - 1)
        else:
            demand(not entry & ENTRY_WRITABLE or entry & ENTRY_NX != 0, entry, 21)


@fn
def leaf(virtual: usize) -> u64:
    """The entry that maps an address; 0 if nothing does."""
    table = table_at(read_cr3())
    for level in reversed(range(TOP_LEVEL + 1)):
        entry = table[virtual >> (12 + 9 * level) & (ENTRIES - 1)]
        if not entry & ENTRY_PRESENT:
            return 0
        if level == 0 or entry & ENTRY_LARGE:
            return entry
        table = table_at(usize(entry))
    return 0


@fn
def check_rights(stack: usize) -> None:
    """Code is executed, constants are read, variables and the stack are written to, and nothing is more than that."""
    code = leaf(address(main))
    demand(not code & ENTRY_WRITABLE and not code & ENTRY_NX, code, 30)
    constant = leaf(address(NUMBERS))
    demand(not constant & ENTRY_WRITABLE and constant & ENTRY_NX != 0, constant, 31)
    variable = leaf(address(zeros))
    demand(variable & ENTRY_WRITABLE != 0 and variable & ENTRY_NX != 0, variable, 32)
    demand(leaf(stack) & ENTRY_WRITABLE != 0 and leaf(stack) & ENTRY_NX != 0, leaf(stack), 33)
    top = stack + sizeof(Registers)
    demand(leaf(top - handoff.STACK_BYTES) & ENTRY_WRITABLE != 0, top, 34)
    demand(leaf(top - handoff.STACK_BYTES - 1) == 0, top, 35)
    demand(leaf(0) == 0, 0, 36)


@fn
def regions(information: BootInformation) -> span[MemoryRegion]:
    return span[MemoryRegion](usize(information.memory), usize(information.memory_count))


@fn
def kind_at(information: BootInformation, physical: u64) -> u32:
    for region in regions(information):
        if region.base <= physical < region.base + region.size:
            return region.kind
    return 0


@fn
def check_memory(information: BootInformation) -> None:
    """The map is in order, and the kernel stands in it where it is."""
    end: u64 = 0
    kind: u32 = 0
    for region in regions(information):
        demand(region.base > end or (region.base == end and region.kind != kind), region.base, 40)
        end = region.base + region.size
        kind = region.kind
    demand(kind_at(information, information.kernel_physical) == handoff.MEMORY_KERNEL, information.kernel_physical, 41)
    demand(kind_at(information, information.physical) == handoff.MEMORY_LOADER, information.physical, 42)
    here = information.kernel_virtual
    demand(here <= address(main) < here + information.kernel_size, here, 43)
    entry = leaf(usize(here))
    demand(entry & ENTRY_ADDRESS & ~(PAGE - 1) <= information.kernel_physical, entry, 44)


@fn
def text_at(address: u64, size: u64) -> span[u8]:
    return span[u8](usize(address), usize(size))


@fn
def print_information(information: BootInformation) -> None:
    """A line each, as tests/support/handoff.py reads them."""
    print(f"door {information.door:x}")
    print(f"door name [{text_at(information.door_name, information.door_name_size)}]")
    print(f"loader [{text_at(information.loader_name, information.loader_name_size)}]")
    print(f"command line [{text_at(information.command_line, information.command_line_size)}]")
    for region in regions(information):
        print(f"memory {region.base:x} {region.size:x} {region.kind:x}")
    modules = span[ModuleInformation](usize(information.modules), usize(information.module_count))
    for module in modules:
        name = text_at(module.name, module.name_size)
        print(f"module {module.physical:x} {module.size:x} {module.checksum:x} [{name}]")
    kernel = information.kernel_physical
    print(f"kernel {kernel:x} {information.kernel_virtual:x} {information.kernel_size:x} {information.kernel_shift:x}")
    print(f"direct map {information.direct_map:x} {information.direct_map_size:x}")
    print(f"window {information.window:x} {information.window_size:x}")
    print(f"block {information.physical:x} {information.size:x}")


@fn(provides="write")
def write(message: span[u8]) -> None:
    for byte in message:
        while not inb(SERIAL_STATUS) & SERIAL_READY:
            pass
        outb(SERIAL, byte)


@fn(provides="stop")
def stop() -> NoReturn:
    outb(DEBUG_EXIT, FAIL)
    halt()

"""CPU exceptions in the 64-bit loader and, until a kernel has its own handlers, in that kernel: what, where, the end.

`lift.main` calls `install` as soon as the console can write; the hand-off calls it again for the addresses at which the
kernel sees the loader. An exception then prints its vector, error code, RIP with function and source line, CR2 and the
registers on every console, and stops the machine. Long mode, ring 0, interrupts off; nothing here returns.

Intel 64 Architectures Software Developer's Manual, volume 3A: 6.14 (64-bit mode), 6.3.1 and table 6-1 (vectors), 4.7
(page faults' error codes).
"""

from typing import Final, NoReturn

from bootslang.boot.layout import CODE64
from bootslang.boot.lib import console, image
from bootslang.boot.lift import lines
from bootslang.boot.lift.handover import TablePointer
from bootslang.boot.lift.limits import PAGE
from bootslang.boot.lift.lines import Place
from bootslang.slang import (
    Struct,
    address,
    array,
    asm,
    compile_for,
    fn,
    halt,
    length,
    ptr,
    read_cr2,
    read_cr3,
    runtime,
    sizeof,
    span,
    target,
    text,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("long64")

VECTORS: Final = 32
"""Those that belong to the CPU. Interrupts are off, so no other one comes."""
DOUBLE_FAULT: Final = 8
GENERAL_PROTECTION: Final = 13
PAGE_FAULT: Final = 14
DOUBLE_FAULT_STACK: Final = 1
PAGE_FAULT_STACK: Final = 2
GENERAL_PROTECTION_STACK: Final = 3
"""Which IST entry of the TSS is whose: what comes of a bad stack needs one that is surely good."""
INTERRUPT_GATE: Final = 0x8E
"""Present, ring 0, 64 bits; interrupts are off behind it."""

WITH_ERROR_CODE: Final = sum(1 << vector for vector in (8, 10, 11, 12, 13, 14, 17, 21, 29, 30))
"""The vectors whose frame begins with an error code, as bits."""
NAMES: Final = array[u8](
    b"#DE divide error\n#DB debug\nnon-maskable interrupt\n#BP breakpoint\n#OF overflow\n#BR bound range exceeded\n"
    b"#UD invalid opcode\n#NM no floating-point unit\n#DF double fault\nreserved\n#TS invalid TSS\n"
    b"#NP segment not present\n#SS stack fault\n#GP general protection\n#PF page fault\nreserved\n"
    b"#MF x87 floating-point error\n#AC alignment check\n#MC machine check\n#XM SIMD floating-point error\n"
    b"#VE virtualization exception\n#CP control protection\n"
)
"""Each ends with a line feed; those of the vectors behind them are reserved, or of virtual machines alone."""
LINE_FEED: Final = 0x0A

PROTECTION: Final = 1
"""Bits of a page fault's error code: the page is there, but not for this;"""
WRITE: Final = 2
FETCH: Final = 16

STUB_BYTES: Final = 5
STUBS: Final = "call exceptions_all\n" * VECTORS
REGISTER_NAMES: Final = array[u8](b"RAXRBXRCXRDXRSIRDIRBPR8 R9 R10R11R12R13R14R15")
NAME_BYTES: Final = 3
REGISTERS: Final = len(REGISTER_NAMES) // NAME_BYTES
A_LINE: Final = 3
"""So many registers stand in one line."""


class Gate(Struct):
    """An entry of the interrupt descriptor table, 16 bytes."""

    offset_low: u16
    selector: u16
    stack: u8
    """Which IST entry it takes; 0: none, the stack in use goes on."""
    kind: u8
    offset_middle: u16
    offset_high: u32
    reserved: u32 = 0


class Frame(Struct):
    """What the CPU puts on the stack, behind an error code for some vectors."""

    rip: u64
    cs: u64
    rflags: u64
    rsp: u64
    ss: u64


class Saved(Struct):
    """What `stubs` put on the stack in front of that."""

    registers: array[u64] = length(REGISTERS)
    stub: u64
    """Where the stub of the vector would go on."""


class HostedKernel(Struct):
    """The kernel that runs by the hand-off, at virtual addresses; all 0 before."""

    start: u64
    end: u64
    shift: u64
    """From the addresses in its file."""
    stack_guard: u64
    """The page below its stack, which is not mapped."""


table: array[Gate] = array[Gate](VECTORS)
kernel: HostedKernel = HostedKernel.zeroed()
reporting: bool = False
"""The handlers are at work: what faults in them is not reported."""


@fn
def install(distance: u64, with_stacks: bool) -> None:
    """Let the handlers have every exception from now on.

    distance: from the addresses that this code runs at to those at which table and handlers are to be seen (modulo
    2^64). with_stacks: the task register is loaded, and its TSS has the stacks of the IST.
    """
    fill(table, address(stubs) + distance, with_stacks)
    pointer = TablePointer(limit=sizeof(Gate) * VECTORS - 1, base=address(table) + distance)
    asm("lidt [rax]", rax=address(pointer), clobbers="memory")


@fn
def fill(gates: span[Gate], first_stub: u64, with_stacks: bool) -> None:
    """Write the table: each vector has its stub."""
    for vector, gate in enumerate(gates):
        stub = first_stub + vector * STUB_BYTES
        gate.offset_low = u16(stub)
        gate.offset_middle = u16(stub >> 16)
        gate.offset_high = u32(stub >> 32)
        gate.selector = CODE64
        gate.kind = INTERRUPT_GATE
        gate.stack = stack_of(vector) if with_stacks else 0


@fn
def stack_of(vector: usize) -> u8:
    if vector == DOUBLE_FAULT:
        return DOUBLE_FAULT_STACK
    if vector == PAGE_FAULT:
        return PAGE_FAULT_STACK
    return GENERAL_PROTECTION_STACK if vector == GENERAL_PROTECTION else 0


@fn(naked=True)
def stubs() -> None:
    """One call for each vector, of STUB_BYTES each: the return address tells which it was."""
    asm(f"""
        {STUBS}
    exceptions_all:
        push r15
        push r14
        push r13
        push r12
        push r11
        push r10
        push r9
        push r8
        push rbp
        push rdi
        push rsi
        push rdx
        push rcx
        push rbx
        push rax
        cld
        mov rdi, rsp
        lea rsi, [rip + {stubs}]
        and rsp, -16
        call {report}
    """)


@fn
def report(saved_at: usize, first_stub: usize) -> NoReturn:
    """Tell all that is known, once."""
    global reporting
    if reporting:
        halt()
    reporting = True
    runtime.state.recording = False
    if not target.host:
        runtime.state.frame = 0  # nothing is caught any more
    saved = Saved.at(saved_at)
    vector = u32((usize(saved.stub) - first_stub) // STUB_BYTES - 1)
    frame_at = saved_at + sizeof(Saved)
    error_code: u64 = 0
    if has_error_code(vector):
        error_code = ptr[u64](frame_at)[0]
        frame_at += sizeof(u64)
    tell(vector, error_code, Frame.at(frame_at))
    tell_registers(saved.registers)
    console.stop()


@fn
def has_error_code(vector: u32) -> bool:
    return WITH_ERROR_CODE >> vector & 1 != 0


@fn
def tell(vector: u32, error_code: u64, frame: Frame) -> None:
    """Say what happened and where."""
    print(f"CPU exception {vector} ({name_of(vector)})", end="")
    if has_error_code(vector):
        print(f", error code {error_code:#x}", end="")
    print()
    print(f"RIP {frame.rip:#x}: ", end="")
    tell_place(usize(frame.rip))
    if vector == PAGE_FAULT:
        print(f"CR2 {read_cr2():#x}: {access_of(error_code)}")
        if kernel.stack_guard and read_cr2() // PAGE == kernel.stack_guard // PAGE:
            print("That is the page below the kernel's stack: it has overflowed.")
    print(f"RSP {frame.rsp:#x}  RFLAGS {frame.rflags:#x}  CS {frame.cs:#x}  SS {frame.ss:#x}  CR3 {read_cr3():#x}")


@fn
def name_of(vector: u32) -> span[u8]:
    """The vector's mnemonic and name."""
    names: span[u8] = NAMES
    start: usize = 0
    for at, byte in enumerate(names):
        if byte != LINE_FEED:
            continue
        if vector == 0:
            return names[start:at]
        vector -= 1
        start = at + 1
    return text("reserved")


@fn
def access_of(error_code: u64) -> span[u8]:
    """What a page fault's error code says of the access."""
    if error_code & PROTECTION:
        if error_code & FETCH:
            return text("may not be executed")
        return text("may not be written to") if error_code & WRITE else text("may not be read")
    if error_code & FETCH:
        return text("executed, but not mapped")
    return text("written to, but not mapped") if error_code & WRITE else text("read, but not mapped")


@fn
def tell_place(rip: usize) -> None:
    """Say whose code is at `rip`: in the loader, which line of it; in the kernel, where in its file's addresses."""
    start = image.image_start()
    place = Place.zeroed()
    if start <= rip < image.bss_end():
        if lines.find(image.lines(), rip - start, place):
            print(f"{place.function} [{place.file}:{place.line}]")
        else:
            print(f"the loader, {rip - start:#x} bytes from its start")
    elif kernel.start <= rip < kernel.end:
        print("the kernel")
        if kernel.shift:
            print(f"Its file calls that {rip - kernel.shift:#x}.")
    elif kernel.end:
        print("outside of the loader and of the kernel")
    else:
        print("outside of the loader")


@fn
def tell_registers(registers: span[u64]) -> None:
    """All but RSP, A_LINE of them in a line."""
    for index, value in enumerate(registers):
        name = REGISTER_NAMES[index * NAME_BYTES : (index + 1) * NAME_BYTES]
        end = text("\n") if index % A_LINE == A_LINE - 1 else text("  ")
        print(f"{name} {value:016x}{end}", end="")

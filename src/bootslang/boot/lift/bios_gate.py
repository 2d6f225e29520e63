"""The way from stage 4 into the BIOS gate, in both widths.

The gate is 32-bit code in low memory (boot/bios/gate.py). The 32-bit stage 4 calls it; the 64-bit one leaves long mode
first and enters it again afterwards. Interrupts stay off on this side; the gate's GDT is stage 4's own.
"""

from bootslang.boot.layout import CODE32, CODE64
from bootslang.boot.lift.modes import ENTER_LONG_MODE, LEAVE_LONG_MODE, LOAD_FLAT_DATA
from bootslang.slang import asm, compile_for, fn, target, u32

compile_for("protected32", "long64")


@fn
def call_gate(gate: u32, request: u32) -> None:
    """Let the gate at the address `gate` do what the GateRequest at `request` asks for.

    On the host the FakeMachine in force does it.
    """
    if target.host:
        asm("gate", rax=request, clobbers="memory")
    elif target.bits == 64:
        call_from_64(gate, request)
    else:
        call_from_32(gate, request)


@fn(naked=True)
def call_from_32(gate: u32, request: u32) -> None:
    """Arguments come in EAX and EDX; the gate takes its request in EAX and keeps what a caller may rely on."""
    asm("""
        xchg eax, edx
        jmp edx
    """)


@fn(naked=True)
def call_from_64(gate: u32, request: u32) -> None:
    """Arguments come in EDI and ESI. Outside long mode the upper halves of registers are lost: the stack keeps them.

    Stage 4, its stack and its tables lie below 4 GiB, so that 32-bit code reaches them; the gate keeps the interrupt
    table's register as well, so that exceptions are told again afterwards.
    """
    asm(f"""
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov ebx, edi
        mov edi, esi
        mov rsi, cr3
        lea rax, [rip + lift_inside]
        mov rcx, {CODE64} << 32
        or rax, rcx
        push rax                        # where RETF goes on, selector above offset
        push {CODE32}
        lea rax, [rip + lift_outside]
        push rax
        retfq

        .code32
    lift_outside:
        {LOAD_FLAT_DATA}
        {LEAVE_LONG_MODE}

        mov eax, edi
        call ebx

        mov cr3, esi
        {ENTER_LONG_MODE}
        retf

        .code64
    lift_inside:
        mov esp, esp
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
    """)

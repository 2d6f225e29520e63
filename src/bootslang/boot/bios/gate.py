"""The way into the BIOS and back: the shared GDT, the mode switches, and GATE_READ's dispatch.

Part of stage 2, which stays in memory below 64 KiB; `BootContext.gate` holds the address of `gate`. Stages 2, 3 and 4
call it in 32-bit protected mode, paging off, flat segments, interrupts off: EAX = the address of a `GateRequest` below
64 KiB. It returns by a near `ret` in the same state, with the GDT below loaded; EBX, ESI, EDI, EBP, ESP and the
interrupt table register are as they were, EAX, ECX and EDX are not.

What a BIOS expects is put in place for the call: real mode, the interrupt table at 0, segments with 64 KiB limits, a
stack in low memory, interrupts on, A20 as it is, the interrupt controllers never touched. Some BIOSes switch A20 off
(INT 15h AH=87h, INT 13h of old SCSI adapters): it is on again when the gate returns.
"""

from typing import Final

from bootslang.boot.bios.a20 import keep_a20
from bootslang.boot.bios.drive import serve_read
from bootslang.boot.context import GATE_READ, GateRequest
from bootslang.boot.layout import CODE16, CODE32, DATA16, DATA32, LOW_STACK_TOP
from bootslang.slang import asm, compile_for, fn, offsetof, u16, u32

compile_for("protected32")

NOT_PROTECTED: Final = 0xFE
"""CR0's lowest byte without PE."""
PROTECTED: Final = 0x01

INTERRUPT: Final = offsetof(GateRequest, "interrupt")
EAX: Final = offsetof(GateRequest, "eax")
EBX: Final = offsetof(GateRequest, "ebx")
ECX: Final = offsetof(GateRequest, "ecx")
EDX: Final = offsetof(GateRequest, "edx")
ESI: Final = offsetof(GateRequest, "esi")
EDI: Final = offsetof(GateRequest, "edi")
EBP: Final = offsetof(GateRequest, "ebp")
DS: Final = offsetof(GateRequest, "ds")
ES: Final = offsetof(GateRequest, "es")
FLAGS: Final = offsetof(GateRequest, "flags")

current_request: u16 = 0
handler: u32 = 0
"""Segment and offset of the BIOS's routine, from the interrupt table."""


@fn(naked=True)
def gdt() -> None:
    """The table behind its own pointer: what LGDT takes. The selectors are `layout`'s."""
    asm(f"""
        .word 6 * 8 - 1
        .long {gdt} + 8
        .word 0
        .quad 0
        .quad 0x00AF9A000000FFFF    # CODE64
        .quad 0x00CF9A000000FFFF    # CODE32: base 0, 4 GiB
        .quad 0x00CF92000000FFFF    # DATA32
        .quad 0x00009A000000FFFF    # CODE16: base 0, 64 KiB
        .quad 0x000092000000FFFF    # DATA16
    """)


@fn(naked=True)
def real_mode_interrupts() -> None:
    """What LIDT takes for real mode: the interrupt table at 0."""
    asm("""
        .word 0x3FF
        .long 0
    """)


@fn(naked=True)
def gate() -> None:
    """Take a request: see the head of this file."""
    asm(f"""
        push ebx
        push esi
        push edi
        push ebp
        sub esp, 8
        sidt [esp]
        mov ebx, eax
        mov esi, esp
        cmp esp, {LOW_STACK_TOP}    # a stack in low memory is used on, any other one is left for the call
        jbe 1f
        mov esp, {LOW_STACK_TOP}
    1:  lgdt [{gdt}]
        cld
        mov eax, ebx
        cmp dword ptr [ebx + {INTERRUPT}], {GATE_READ}
        jne 2f
        call {serve_read}
        jmp 3f
    2:  call {call_real_mode}
    3:  call {keep_a20}
        mov esp, esi
        lidt [esp]
        add esp, 8
        pop ebp
        pop edi
        pop esi
        pop ebx
        ret
    """)


@fn(naked=True)
def call_real_mode() -> None:
    """Make the BIOS call of the request at EAX. The stack is in low memory; EBX, ESI, EDI, EBP are kept."""
    asm(f"""
        push ebx
        push esi
        push edi
        push ebp
        mov ebx, eax
        .byte 0xEA                  # jmp CODE16:16-bit protected mode
        .long 1f
        .word {CODE16}
        .code16
    1:  mov ax, {DATA16}            # limits of 64 KiB, as real mode has them
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov eax, cr0
        and al, {NOT_PROTECTED}
        mov cr0, eax
        .byte 0xEA                  # jmp 0:real mode
        .word 2f
        .word 0
    2:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        lidt [{real_mode_interrupts}]
        mov [{current_request}], bx
        mov si, [bx + {INTERRUPT}]
        shl si, 2
        mov eax, [si]
        mov [{handler}], eax
        mov eax, [bx + {EAX}]
        mov ecx, [bx + {ECX}]
        mov edx, [bx + {EDX}]
        mov esi, [bx + {ESI}]
        mov edi, [bx + {EDI}]
        mov ebp, [bx + {EBP}]
        mov es, [bx + {ES}]
        push word ptr [bx + {DS}]
        mov ebx, [bx + {EBX}]
        pop ds
        sti                         # a waiting timer tick is served now
        stc                         # who does not know the call leaves carry set
        pushf
        cli
        lcall cs:[{handler}]        # with the pushed flags: what INT does
        pushf
        cli
        cld
        push ds
        push es
        push ebx
        push 0
        pop ds
        mov bx, [{current_request}]
        mov [bx + {EAX}], eax
        mov [bx + {ECX}], ecx
        mov [bx + {EDX}], edx
        mov [bx + {ESI}], esi
        mov [bx + {EDI}], edi
        mov [bx + {EBP}], ebp
        pop dword ptr [bx + {EBX}]
        pop word ptr [bx + {ES}]
        pop word ptr [bx + {DS}]
        pop word ptr [bx + {FLAGS}]
        lgdt [{gdt}]
        mov eax, cr0
        or al, {PROTECTED}
        mov cr0, eax
        .byte 0x66, 0xEA            # jmp CODE32:protected mode
        .long 3f
        .word {CODE32}
        .code32
    3:  mov ax, {DATA32}
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        movzx esp, sp
        pop ebp
        pop edi
        pop esi
        pop ebx
        ret
    """)

"""Where stage 4 begins on a CPU without long mode. The door jumps to its first byte.

Entered in 32-bit protected mode, paging and interrupts off, flat segments, EAX = the address of BootContext. Runs
`main` on stage 4's own stack and never returns.
"""

from bootslang.boot.layout import STAGE4_STACK_TOP
from bootslang.boot.lift.main import main
from bootslang.slang import asm, compile_for, fn

compile_for("protected32")


@fn(naked=True, section=".start")
def start() -> None:
    """Clear what has no bytes on the disk, take the stack, and go on in slang."""
    asm(f"""
        cli
        cld
        mov esp, {STAGE4_STACK_TOP}
        mov ebx, eax
        mov edi, offset __bss_start
        mov ecx, offset __bss_end
        sub ecx, edi
        xor eax, eax
        rep stosb
        mov eax, ebx
        call {main}
    """)

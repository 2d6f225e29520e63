"""The steps between protected mode and long mode, as assembly: whoever switches has them in his own code.

Intel SDM volume 3A, 10.8.5 and 10.8.5.4 ("Initializing IA-32e Mode", "Switching Out of IA-32e Mode Operation"). The
code runs in 32 bits, in memory that is mapped to itself; each uses EAX, ECX and EDX. The far jump that takes effect is
the caller's.
"""

from typing import Final

from bootslang.boot.layout import DATA32
from bootslang.boot.lift.paging import CR0_PG, CR4_PAE, EFER, EFER_LME

ENTER_LONG_MODE: Final = f"""
        mov eax, cr4
        or eax, {CR4_PAE}
        mov cr4, eax
        mov ecx, {EFER}
        rdmsr
        or eax, {EFER_LME}
        wrmsr
        mov eax, cr0
        or eax, {CR0_PG}
        mov cr0, eax
"""
"""CR3 holds the page tables."""

LEAVE_LONG_MODE: Final = f"""
        mov eax, cr0
        and eax, ~{CR0_PG}
        mov cr0, eax
        mov ecx, {EFER}
        rdmsr
        and eax, ~{EFER_LME}
        wrmsr
        mov eax, cr4
        and eax, ~{CR4_PAE}
        mov cr4, eax
"""
"""A 32-bit code segment has been entered; it ends with paging off."""

LOAD_FLAT_DATA: Final = f"""
        mov eax, {DATA32}
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
"""
"""All data segments flat; in 64 bits too."""

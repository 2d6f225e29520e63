"""What a kernel file is: read it, check it, and take out of it what a boot partition has to hold.

    kernel = Kernel.read("/boot/vmlinuz")
    kernel.limits.check_command_line("console=ttyS0")
    for piece in kernel.pieces():
        ...

`Kernel.read` raises `KernelInvalid` for whatever is no kernel that can be booted, and says what it is instead.

Reading order: `model` (the Kernel and its limits), `file` (random access to untrusted bytes), `bzimage`; for ELF files
`elf_file` (the format), `elf` (which kind of kernel), `vmlinux` (Linux) and `handoff` with `relocations` (one's own);
`identify` (what a wrong file is), `payload` (the ELF file inside a bzImage), `debian` (kernels to test with).
"""

from bootslang.kernel.model import (
    PROTOCOLS,
    Handoff,
    Kernel,
    KernelKind,
    Limits,
    Segment,
    SetupHeader,
    entry_bits,
)

__all__ = ["PROTOCOLS", "Handoff", "Kernel", "KernelKind", "Limits", "Segment", "SetupHeader", "entry_bits"]

"""Read an ELF kernel: which of the two kinds it is, Linux's `vmlinux` or a 64-bit kernel of the hand-off protocol.

Own reading, not a library's: every number in the file is untrusted, and each that cannot be gets a message of its own.
The machine checks the same again, in `boot/lift`; what needs the machine's memory map is left to it. `elf_file` reads
the format; `vmlinux` and `handoff` judge what the two kinds ask for.

What is stored of the file (the "compacted ELF"): the ELF header and the program headers of PT_LOADs, and of others that
lie inside them and say something about them, with their offsets rewritten; then the contents of the PT_LOADs.
"""

from typing import Any

from bootslang.errors import KernelInvalid
from bootslang.kernel import handoff, identify, vmlinux
from bootslang.kernel.elf_file import INTERP, NOT_LINKED, ElfFile, layout_of
from bootslang.kernel.file import FileBytes
from bootslang.kernel.model import Protocol

_GNU_ABI = b"GNU\0", 1
"""The name and the type of the note that the C library puts into each program."""
_OR_YOURS = (
    f"{identify.WHAT_A_KERNEL_IS} One of your own is linked without interpreter and C library: with"
    " `-nostdlib -static` or `-nostdlib -static-pie`."
)


def recognises(file: FileBytes) -> bool:
    """Whether the file starts as an ELF file does, for whatever machine."""
    return file.peek(0, 4) == b"\x7fELF"


def bits(file: FileBytes) -> int:
    """In which mode the kernel is entered, 32 or 64, by its first bytes alone."""
    return layout_of(file).bits


def read(file: FileBytes, protocol: Protocol, *, allow_wx: bool) -> dict[str, Any]:
    """Return what `Kernel` is made of, or raise `KernelInvalid`."""
    elf = ElfFile.of(file)
    if protocol != "handoff" and not handoff.says_so(elf):
        _refuse_programs(elf)
    if not elf.loads:
        raise file.fault("no program header has anything to load (PT_LOAD)", NOT_LINKED)
    if protocol == "handoff" or (protocol == "auto" and is_handoff(elf)):
        return handoff.read(elf, allow_wx=allow_wx)
    return vmlinux.read(elf)


def is_handoff(elf: ElfFile) -> bool:
    """Whether this is a kernel of the hand-off protocol: the same rule as the machine's, where it gets a bare file.

    It says so by a note; or its entry is the virtual address of a segment, while Linux's is a physical one alone.
    """
    if elf.layout.bits != 64:
        return False
    return handoff.says_so(elf) or any(load.virtual <= elf.header.entry < load.end for load in elf.loads)


def _refuse_programs(elf: ElfFile) -> None:
    """Refuse what runs under a kernel rather than being one."""
    if elf.of_type(INTERP) or any((note.name, note.kind) == _GNU_ABI for note in elf.notes):
        raise KernelInvalid(
            f"{elf.file.name} is no kernel: it is a program that runs under Linux (an ELF executable or library).",
            hint=_OR_YOURS,
        )

"""Which kind of kernel a file in memory is: by what it holds, unless the user has said how to start it.

`bootslang build` and `bootslang bundle` decide by the same rule (`bootslang.kernel`), so that a kernel starts alike
wherever it comes from. 64-bit doors alone bring such files.
"""

from bootslang.boot.context import PROTOCOL_HANDOFF, PROTOCOL_LINUX
from bootslang.boot.disk import KERNEL_BZIMAGE, KERNEL_ELF, KERNEL_HANDOFF
from bootslang.boot.lift import bzimage, elf
from bootslang.boot.lift.elf import ElfFile, ProgramHeader64
from bootslang.boot.lift.handoff.note import NO_NOTE, version_in
from bootslang.slang import compile_for, fn, span, u8, u32, usize

compile_for("protected32", "long64")


@fn
def kind_of(file: span[u8], protocol: u32) -> u32:
    """KERNEL_..., for a PROTOCOL_...

    The guess: a setup header is Linux, and so is an ELF32; an ELF64 has a note that it takes the hand-off, or an entry
    that is a virtual address; that of a vmlinux is a physical one. In an ELF file, what stands where a setup header
    would is the kernel's own.
    """
    if protocol == PROTOCOL_HANDOFF:
        return KERNEL_HANDOFF
    if not elf.has_magic(file) and bzimage.has_header(file):
        return KERNEL_BZIMAGE
    header = ElfFile.zeroed()
    elf.read_header(file, header)
    if protocol != PROTOCOL_LINUX and header.bits == 64 and takes_handoff(file, header):
        return KERNEL_HANDOFF
    return KERNEL_ELF


@fn
def takes_handoff(file: span[u8], header: ElfFile) -> bool:
    found = ProgramHeader64.zeroed()
    for index in range(header.count):
        elf.read_program_header(file, header, index, found)
        if found.type == elf.LOAD:
            if found.virtual_address <= header.entry and header.entry - found.virtual_address < found.memory_size:
                return True
        elif found.type == elf.NOTE and found.offset <= len(file) and found.file_size <= len(file) - found.offset:
            start = usize(found.offset)
            if version_in(file[start : start + usize(found.file_size)], found.align) != NO_NOTE:
                return True
    return False

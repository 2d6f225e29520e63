"""A kernel of either kind: what is read of it, where it goes, how it is entered.

`main.py` calls these in their order: `read_head` once the first chunk is there, `place`, `target_of` for each further
chunk, `finish`. The two kinds' own rules stand in `elf.py` and `bzimage.py`.
"""

from typing import Final

from bootslang.boot.context import BootContext
from bootslang.boot.disk import KERNEL_ELF
from bootslang.boot.lift import bzimage, elf
from bootslang.boot.lift.bzimage import BzImage
from bootslang.boot.lift.elf import ElfKernel
from bootslang.boot.lift.limits import FOUR_GIB
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.zero_page import (
    BOOT_FLAG,
    HEADER_MAGIC,
    LOADED_HIGH,
    NORMAL_VIDEO_MODE,
    UNREGISTERED_LOADER,
    SetupHeader,
    ZeroPage,
)
from bootslang.slang import BootError, Struct, compile_for, fn, span, target, u8, u32, u64

compile_for("protected32", "long64")

MAX_HEAD_BYTES: Final = 0x2_0000
"""The first chunk: an ELF's headers or a bzImage's setup part, which 255 + 1 sectors bound."""

ELF_PROTOCOL: Final = 0x020F
"""What an ELF kernel is told: it is newer than this, or it does not look."""
ELF_CMDLINE_SIZE: Final = 2047
"""COMMAND_LINE_SIZE of x86, without the final zero."""
ELF32_INITRD_LIMIT: Final = 0x3800_0000
"""What a 32-bit kernel without a header can be trusted to reach: its low memory."""


class Kernel(Struct):
    kind: u32
    """KERNEL_ELF or KERNEL_BZIMAGE."""
    elf: ElfKernel
    image: BzImage


@fn
def read_head(kernel: Kernel, kind: u32, head: span[u8], size: u64) -> None:
    """Fill `kernel` from the first chunk of a file of `size` bytes."""
    kernel.kind = kind
    if kind == KERNEL_ELF:
        elf.read_headers(head, size, kernel.elf)
        return
    bzimage.read_header(head, size, kernel.image)
    if kernel.image.setup_bytes != len(head):
        raise BootError(
            f"the kernel's first chunk has {len(head)} bytes, its setup part {kernel.image.setup_bytes}: "
            "build the disk anew"
        )


@fn
def check_cpu(kernel: Kernel) -> None:
    """Refuse a 64-bit kernel in the 32-bit stage 4, which runs where there is no long mode."""
    if target.bits == 32 and is_entered_in_long_mode(kernel):
        raise BootError("this is a 64-bit kernel, and this CPU has no long mode (64 bits): take a 32-bit kernel")


@fn
def is_entered_in_long_mode(kernel: Kernel) -> bool:
    """Tell which state the kernel expects, where the CPU can give it: 64 or 32 bits."""
    return kernel.elf.bits == 64 if kernel.kind == KERNEL_ELF else kernel.image.has_entry_64


@fn
def place(kernel: Kernel, memory: MemoryMap, context: BootContext) -> None:
    """Choose and reserve the kernel's memory."""
    if kernel.kind == KERNEL_ELF:
        elf.place(kernel.elf, memory, context)
    else:
        bzimage.place(kernel.image, memory, context)


@fn
def target_of(kernel: Kernel, offset: u64, size: u64) -> u64:
    """Where in memory `size` bytes of the kernel's file from `offset` on go."""
    if kernel.kind == KERNEL_ELF:
        return elf.target_of(kernel.elf, offset, size)
    return kernel.image.load + offset - kernel.image.setup_bytes


@fn
def finish(kernel: Kernel) -> None:
    """Do what is left when the last chunk is in its place."""
    if kernel.kind == KERNEL_ELF:
        elf.clear_gaps(kernel.elf)


@fn
def start_of(kernel: Kernel) -> u64:
    """The lowest physical address that the kernel's own bytes take."""
    if kernel.kind == KERNEL_ELF:
        return kernel.elf.low + kernel.elf.shift
    return kernel.image.load


@fn
def entry_of(kernel: Kernel) -> u64:
    """The physical address of the kernel's first instruction."""
    if kernel.kind == KERNEL_ELF:
        return kernel.elf.entry + kernel.elf.shift
    return kernel.image.load + (bzimage.ENTRY_64 if kernel.image.has_entry_64 else 0)


@fn
def initrd_limit(kernel: Kernel) -> u64:
    """The first address behind where the initrd may lie, if it lies below 4 GiB."""
    if kernel.kind == KERNEL_ELF:
        return FOUR_GIB if kernel.elf.bits == 64 else ELF32_INITRD_LIMIT
    return kernel.image.initrd_limit


@fn
def initrd_may_lie_high(kernel: Kernel) -> bool:
    """Tell whether the kernel finds an initrd above 4 GiB."""
    return kernel.elf.bits == 64 if kernel.kind == KERNEL_ELF else kernel.image.above_4g


@fn
def command_line_limit(kernel: Kernel) -> u32:
    """How many characters the kernel takes, the final zero not counted."""
    return ELF_CMDLINE_SIZE if kernel.kind == KERNEL_ELF else kernel.image.cmdline_size


@fn
def takes_setup_data(kernel: Kernel) -> bool:
    """Tell whether the kernel looks at the zero page's list of setup data."""
    return kernel.kind == KERNEL_ELF or kernel.image.header.version >= bzimage.WITH_SETUP_DATA


@fn
def fill_header(kernel: Kernel, page: ZeroPage) -> None:
    """Write the setup header of the zero page, but for the places of initrd, command line and setup data."""
    if kernel.kind == KERNEL_ELF:
        fill_elf_header(kernel.elf, page.header)
    else:
        page.header = kernel.image.header
    page.header.type_of_loader = UNREGISTERED_LOADER
    page.header.vid_mode = NORMAL_VIDEO_MODE


@fn
def fill_elf_header(found: ElfKernel, header: SetupHeader) -> None:
    """Make up the header that a bzImage of the same kernel would have brought."""
    header.boot_flag = BOOT_FLAG
    header.header = HEADER_MAGIC
    header.version = ELF_PROTOCOL
    header.loadflags = LOADED_HIGH
    header.code32_start = u32(found.low + found.shift)
    header.kernel_alignment = u32(elf.SHIFT_STEP)
    header.cmdline_size = ELF_CMDLINE_SIZE
    header.pref_address = found.low
    header.init_size = u32(found.high + elf.SLACK - found.low)
    if found.bits == 64:
        header.relocatable_kernel = 1
        header.xloadflags = bzimage.KERNEL_64 | bzimage.ABOVE_4G
        header.initrd_addr_max = u32(FOUR_GIB - 1)
    else:
        header.initrd_addr_max = u32(ELF32_INITRD_LIMIT - 1)

"""A Linux of either kind: what is read of it, where it goes, how it is entered.

`linux.py` calls these in their order: `read_head`, `place`, and `finish` once the bytes of `segments` are where they
say. The two kinds' own rules stand in `vmlinux.py` and `bzimage.py`.
"""

from typing import Final, NoReturn

from bootslang.boot.context import BootContext
from bootslang.boot.disk import KERNEL_ELF
from bootslang.boot.lift import bzimage, vmlinux
from bootslang.boot.lift.bzimage import BzImage
from bootslang.boot.lift.elf import is_whole
from bootslang.boot.lift.limits import FOUR_GIB
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.segment import Segment, clear_gaps
from bootslang.boot.lift.vmlinux import Vmlinux
from bootslang.boot.lift.zero_page import (
    BOOT_FLAG,
    HEADER_MAGIC,
    LOADED_HIGH,
    NORMAL_VIDEO_MODE,
    UNREGISTERED_LOADER,
    SetupHeader,
    ZeroPage,
)
from bootslang.slang import BootError, Struct, address, compile_for, fn, span, target, u8, u32, u64

compile_for("protected32", "long64")

ELF_PROTOCOL: Final = 0x020F
"""What an ELF kernel is told: it is newer than this, or it does not look."""
ELF_CMDLINE_SIZE: Final = 2047
"""COMMAND_LINE_SIZE of x86, without the final zero."""
ELF32_INITRD_LIMIT: Final = 0x3800_0000
"""What a 32-bit kernel without a header can be trusted to reach: its low memory."""


class Kernel(Struct):
    kind: u32
    """KERNEL_ELF or KERNEL_BZIMAGE."""
    vmlinux: Vmlinux
    image: BzImage


@fn
def read_head(kernel: Kernel, kind: u32, head: span[u8], size: u64) -> None:
    """Fill `kernel` from the head of a file of `size` bytes: its first chunk, or all of it."""
    kernel.kind = kind
    if kind == KERNEL_ELF:
        vmlinux.read_headers(head, size, kernel.vmlinux)
        return
    bzimage.read_header(head, size, kernel.image)
    if not is_whole(head, size) and kernel.image.setup_bytes != len(head):
        raise BootError(
            f"the kernel's first chunk has {len(head)} bytes, its setup part {kernel.image.setup_bytes}: "
            "build the disk anew"
        )


@fn
def check_cpu(kernel: Kernel) -> None:
    """Refuse a 64-bit kernel in the 32-bit stage 4, which runs where there is no long mode."""
    if target.bits == 32 and is_entered_in_long_mode(kernel):
        refuse_64_bits()


@fn
def refuse_64_bits() -> NoReturn:
    raise BootError("this is a 64-bit kernel, and this CPU has no long mode (64 bits): take a 32-bit kernel")


@fn
def is_fixed(kernel: Kernel) -> bool:
    """Tell whether there is but one place where the kernel can be."""
    return kernel.vmlinux.bits == 32 if kernel.kind == KERNEL_ELF else not kernel.image.relocatable


@fn
def fixed_place(kernel: Kernel) -> u64:
    """Where a kernel has to be that is fixed."""
    return kernel.vmlinux.low if kernel.kind == KERNEL_ELF else kernel.image.preferred


@fn
def memory_bytes(kernel: Kernel) -> u64:
    """How much memory the kernel needs from its lowest address on."""
    return vmlinux.memory_bytes(kernel.vmlinux) if kernel.kind == KERNEL_ELF else kernel.image.init_size


@fn
def is_entered_in_long_mode(kernel: Kernel) -> bool:
    """Tell which state the kernel expects, where the CPU can give it: 64 or 32 bits."""
    return kernel.vmlinux.bits == 64 if kernel.kind == KERNEL_ELF else kernel.image.has_entry_64


@fn
def place(kernel: Kernel, memory: MemoryMap, context: BootContext) -> None:
    """Choose and reserve the kernel's memory."""
    if kernel.kind == KERNEL_ELF:
        vmlinux.place(kernel.vmlinux, memory, context)
    else:
        bzimage.place(kernel.image, memory, context)


@fn
def segments(kernel: Kernel) -> span[Segment]:
    """What of the file goes where."""
    if kernel.kind == KERNEL_ELF:
        return kernel.vmlinux.segments.all()
    return span[Segment](address(kernel.image.part), 1)


@fn
def finish(kernel: Kernel) -> None:
    """Do what is left when the kernel's bytes are in their places."""
    if kernel.kind == KERNEL_ELF:
        clear_gaps(kernel.vmlinux.segments.all(), kernel.vmlinux.high)


@fn
def start_of(kernel: Kernel) -> u64:
    """The lowest physical address that the kernel's own bytes take."""
    return segments(kernel)[0].place


@fn
def entry_of(kernel: Kernel) -> u64:
    """The physical address of the kernel's first instruction."""
    if kernel.kind == KERNEL_ELF:
        return kernel.vmlinux.entry
    return kernel.image.part.place + (bzimage.ENTRY_64 if kernel.image.has_entry_64 else 0)


@fn
def initrd_limit(kernel: Kernel) -> u64:
    """The first address behind where the initrd may lie, if it lies below 4 GiB."""
    if kernel.kind == KERNEL_ELF:
        return FOUR_GIB if kernel.vmlinux.bits == 64 else ELF32_INITRD_LIMIT
    return kernel.image.initrd_limit


@fn
def initrd_may_lie_high(kernel: Kernel) -> bool:
    """Tell whether the kernel finds an initrd above 4 GiB."""
    return kernel.vmlinux.bits == 64 if kernel.kind == KERNEL_ELF else kernel.image.above_4g


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
        fill_elf_header(kernel.vmlinux, page.header)
    else:
        page.header = kernel.image.header
    page.header.type_of_loader = UNREGISTERED_LOADER
    page.header.vid_mode = NORMAL_VIDEO_MODE


@fn
def fill_elf_header(found: Vmlinux, header: SetupHeader) -> None:
    """Make up the header that a bzImage of the same kernel would have brought."""
    header.boot_flag = BOOT_FLAG
    header.header = HEADER_MAGIC
    header.version = ELF_PROTOCOL
    header.loadflags = LOADED_HIGH
    header.code32_start = u32(found.low)
    header.kernel_alignment = u32(vmlinux.SHIFT_STEP)
    header.cmdline_size = ELF_CMDLINE_SIZE
    header.pref_address = found.wanted
    header.init_size = u32(found.high + vmlinux.SLACK - found.low)
    if found.bits == 64:
        header.relocatable_kernel = 1
        header.xloadflags = bzimage.KERNEL_64 | bzimage.ABOVE_4G
        header.initrd_addr_max = u32(FOUR_GIB - 1)
    else:
        header.initrd_addr_max = u32(ELF32_INITRD_LIMIT - 1)

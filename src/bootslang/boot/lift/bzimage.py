"""The bzImage reader: what a kernel's setup header says, and where such a kernel may go. It copies nothing.

The rules are those of Documentation/arch/x86/boot.rst for protocol 2.04 (Linux 2.6.14) onwards. Nothing in the header
is trusted. Runs in stage 4, and natively in tests.
"""

from typing import Final

from bootslang.boot.context import KERNEL, BootContext
from bootslang.boot.lift import allocator
from bootslang.boot.lift.allocator import Zone
from bootslang.boot.lift.limits import FOUR_GIB, ONE_MIB, PAGE
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.boot.lift.segment import Segment
from bootslang.boot.lift.zero_page import (
    BOOT_FLAG,
    HEADER_LIMIT,
    HEADER_MAGIC,
    HEADER_OFFSET,
    LOADED_HIGH,
    SetupHeader,
)
from bootslang.slang import (
    BootError,
    Struct,
    address,
    compile_for,
    fn,
    offsetof,
    sizeof,
    span,
    text,
    u8,
    u16,
    u32,
    u64,
    usize,
)

compile_for("protected32", "long64")

SECTOR: Final = 512
SETUP_SECTORS_BEFORE_THEY_WERE_TOLD: Final = 4
OLDEST: Final = 0x0204
WITH_ALIGNMENT: Final = 0x0205
WITH_CMDLINE_SIZE: Final = 0x0206
WITH_SETUP_DATA: Final = 0x0209
WITH_INIT_SIZE: Final = 0x020A
WITH_XLOADFLAGS: Final = 0x020C
NEWEST_MAJOR: Final = 2

KERNEL_64: Final = 1
"""xloadflags: there is a 64-bit entry."""
ENTRY_64: Final = 0x200
"""Of the 64-bit entry, from the load address."""
ABOVE_4G: Final = 2
"""xloadflags: kernel, command line and initrd may lie above 4 GiB."""

OLD_CMDLINE_SIZE: Final = 255
LARGEST_ALIGNMENT: Final = 0x4000_0000
UNPACKING_FACTOR: Final = 3
"""What an old kernel may need while it unpacks itself, in sizes of its file: GRUB goes by the same."""
MAX_NAME: Final = 128


class BzImage(Struct):
    header: SetupHeader
    """Its fields beyond what the file's protocol version has are zero."""
    setup_bytes: u32
    """What precedes the protected-mode part in the file."""
    protected_bytes: u64
    init_size: u64
    """How much memory has to be free from the start on."""
    alignment: u64
    preferred: u64
    relocatable: bool
    has_entry_64: bool
    above_4g: bool
    cmdline_size: u32
    initrd_limit: u64
    """The first address behind where the initrd may lie."""
    part: Segment
    """The protected-mode part, once `place` has decided where it goes."""


@fn
def read_header(setup: span[u8], size: u64, image: BzImage) -> None:
    """Fill `image` from the first bytes of a file of `size` bytes: its whole setup part, or at least 0x290 bytes."""
    if len(setup) < HEADER_LIMIT:
        raise BootError(f"the kernel is no bzImage: it has {len(setup)} bytes before its first boundary")
    raw = SetupHeader.of(setup[HEADER_OFFSET:HEADER_LIMIT])
    if not has_header(setup):
        raise BootError("the kernel is no bzImage: it has no setup header (HdrS)")
    check_version(raw)
    copy_header(setup, raw, image.header)
    header = image.header
    sectors = usize(header.setup_sects)
    if not sectors:
        sectors = SETUP_SECTORS_BEFORE_THEY_WERE_TOLD
    image.setup_bytes = u32((sectors + 1) * SECTOR)
    if image.setup_bytes >= size:
        raise BootError(f"the kernel is cut short: {size} bytes, of which {image.setup_bytes} are its setup part")
    image.protected_bytes = size - image.setup_bytes
    told = u64(header.syssize) * 16
    if told > image.protected_bytes + 15:
        raise BootError(
            f"the kernel is cut short: {told} bytes are due after its setup part, {image.protected_bytes} are there"
        )
    if not header.loadflags & LOADED_HIGH:
        raise BootError("the kernel is a zImage, which loads below 1 MiB: make a bzImage")
    read_limits(image)
    read_placement(image)


@fn
def has_header(file: span[u8]) -> bool:
    """Tell whether a file begins as a bzImage does."""
    if len(file) < HEADER_LIMIT:
        return False
    header = SetupHeader.of(file[HEADER_OFFSET:HEADER_LIMIT])
    return header.boot_flag == BOOT_FLAG and header.header == HEADER_MAGIC


@fn
def check_version(raw: SetupHeader) -> None:
    major = raw.version >> 8
    minor = raw.version & 0xFF
    if raw.version < OLDEST or major > NEWEST_MAJOR:
        raise BootError(f"the kernel speaks boot protocol {major}.{minor}: 2.4 (Linux 2.6.14) to 2.255 are handled")
    if raw.jump & 0xFF != 0xEB:
        raise BootError(f"the kernel's header begins with {raw.jump & 0xFF:#04x} instead of a jump")
    end = 0x202 + usize(raw.jump >> 8)
    if end < HEADER_OFFSET + least_header(raw.version):
        raise BootError(f"the kernel's header ends at {end:#x}, before the last field of protocol {major}.{minor}")


@fn
def least_header(version: u16) -> usize:
    """How many bytes of header the readers below need, by protocol version."""
    if version >= WITH_INIT_SIZE:
        return offsetof(SetupHeader, "handover_offset")
    if version >= WITH_CMDLINE_SIZE:
        return offsetof(SetupHeader, "hardware_subarch")
    if version >= WITH_ALIGNMENT:
        return offsetof(SetupHeader, "min_alignment")
    return offsetof(SetupHeader, "kernel_alignment")


@fn
def copy_header(setup: span[u8], raw: SetupHeader, header: SetupHeader) -> None:
    """Copy the header as far as the file has it: what follows it there is code."""
    end = min(0x202 + usize(raw.jump >> 8), HEADER_OFFSET + sizeof(SetupHeader))
    copy = span[u8](address(header), sizeof(SetupHeader))
    copy.fill(0)
    copy[: end - HEADER_OFFSET] = setup[HEADER_OFFSET:end]


@fn
def read_limits(image: BzImage) -> None:
    """What the kernel says of its command line, its initrd and its entries."""
    header = image.header
    image.cmdline_size = header.cmdline_size if header.version >= WITH_CMDLINE_SIZE else OLD_CMDLINE_SIZE
    image.initrd_limit = u64(header.initrd_addr_max) + 1
    flags = header.xloadflags if header.version >= WITH_XLOADFLAGS else 0
    image.has_entry_64 = flags & KERNEL_64 != 0
    image.above_4g = image.has_entry_64 and flags & ABOVE_4G != 0
    if image.above_4g:
        image.initrd_limit = FOUR_GIB


@fn
def read_placement(image: BzImage) -> None:
    """Where the kernel wants to lie, and how much memory it needs there."""
    header = image.header
    image.relocatable = header.version >= WITH_ALIGNMENT and header.relocatable_kernel != 0
    image.alignment = PAGE
    if image.relocatable:
        image.alignment = header.kernel_alignment
        if not is_power_of_two(image.alignment) or image.alignment > LARGEST_ALIGNMENT:
            raise BootError(f"the kernel wants the alignment {image.alignment:#x}: not a power of two up to 1 GiB")
    if header.version >= WITH_INIT_SIZE:
        image.preferred = header.pref_address
        image.init_size = header.init_size
        if image.init_size < u64(header.syssize) * 16:
            raise BootError(
                f"the kernel says that {image.init_size:#x} bytes are enough for it, less than its file has"
            )
    else:
        image.preferred = ONE_MIB
        image.init_size = round_up(image.protected_bytes, PAGE) * UNPACKING_FACTOR
    image.init_size = max(image.init_size, image.protected_bytes)
    if image.relocatable:
        image.preferred = round_up(max(image.preferred, ONE_MIB), image.alignment)
    if not ONE_MIB <= image.preferred < FOUR_GIB:
        raise BootError(f"the kernel wants to be at {image.preferred:#x}: 1 MiB to 4 GiB can be had")


@fn
def place(image: BzImage, memory: MemoryMap, context: BootContext) -> None:
    """Choose where the kernel goes and reserve it, with all that it needs while it unpacks itself.

    The kernel moves itself up to the next multiple of its alignment that is not below its preferred address: so that is
    where it is put in the first place.
    """
    part = image.part
    part.offset = image.setup_bytes
    part.file_size = image.protected_bytes
    part.memory_size = image.init_size
    part.place = image.preferred
    if not image.relocatable or allocator.is_free(memory, context, part.place, part.memory_size):
        allocator.allocate_at(memory, context, part.place, part.memory_size, text("the kernel"))
    else:
        part.place = place_elsewhere(image, memory, context)
    image.header.code32_start = u32(part.place)


@fn
def place_elsewhere(image: BzImage, memory: MemoryMap, context: BootContext) -> u64:
    """Take any aligned place above the preferred one; at worst with the least alignment that the kernel bears."""
    zone = Zone(
        purpose=text("the kernel"),
        lowest=image.preferred,
        highest=FOUR_GIB,
        alignment=image.alignment,
        kind=KERNEL,
    )
    least = least_alignment(image)
    if least < image.alignment and allocator.find(memory, context, image.init_size, zone) == allocator.NOWHERE:
        zone.alignment = least
        image.header.kernel_alignment = u32(least)
    return allocator.allocate(memory, context, image.init_size, zone)


@fn
def least_alignment(image: BzImage) -> u64:
    """The alignment that the kernel bears at worst, at a cost in speed."""
    exponent = image.header.min_alignment
    if image.header.version < WITH_INIT_SIZE or not 12 <= exponent <= 30:
        return image.alignment
    return u64(1) << exponent


@fn
def name_of(setup: span[u8], header: SetupHeader) -> span[u8]:
    """The kernel's version as it tells it, such as `6.1.0-50-amd64`, up to the first space; empty if it has none."""
    start = usize(header.kernel_version) + 0x200
    if not header.kernel_version or start >= len(setup):
        return setup[:0]
    name = setup[start:]
    for index, byte in enumerate(name[: min(len(name), MAX_NAME)]):
        if not 0x20 < byte < 0x7F:
            return name[:index]
    return setup[:0]


@fn
def is_power_of_two(value: u64) -> bool:
    return value != 0 and value & (value - 1) == 0


@fn
def round_up(value: u64, unit: u64) -> u64:
    """The next multiple of `unit`, a power of two."""
    return value + unit - 1 & ~(unit - 1)

"""Does the bzImage reader of stage 4 follow the header's rules, and refuse what it cannot follow?"""

import pytest

from bootslang.boot.context import BootContext
from bootslang.boot.lift import bzimage as reader
from bootslang.boot.lift.allocator import reserve
from bootslang.boot.lift.bzimage import BzImage
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import BootError, span
from support.payloads import MIB, bzimage, machine, pc, taken

FOUR_GIB = 1 << 32


def read(file: bytes) -> BzImage:
    image = BzImage.zeroed()
    reader.read_header(span(file), len(file), image)
    return image


def placed(file: bytes, memory: MemoryMap, context: BootContext) -> BzImage:
    image = read(file)
    reader.place(image, memory, context)
    return image


def test_a_kernel_of_today_is_read_as_it_is() -> None:
    image = read(bzimage())
    assert (image.setup_bytes, image.protected_bytes) == (2048, 4096)
    assert (image.preferred, image.init_size, image.alignment) == (16 * MIB, 32 * MIB, 2 * MIB)
    assert (image.relocatable, image.has_entry_64, image.above_4g) == (True, True, True)
    assert (image.cmdline_size, image.initrd_limit) == (2047, FOUR_GIB)
    assert image.header.version == 0x020F


def test_no_setup_sectors_mean_four() -> None:
    assert read(bzimage({"setup_sects": 0}, sectors=4)).setup_bytes == 5 * 512


def test_a_32_bit_kernel_keeps_its_initrd_limit() -> None:
    image = read(bzimage({"xloadflags": 4, "initrd_addr_max": 0x37FF_FFFF}))
    assert (image.has_entry_64, image.above_4g, image.initrd_limit) == (False, False, 0x3800_0000)


def test_an_old_kernel_is_given_what_its_header_does_not_say() -> None:
    image = read(bzimage({"version": 0x0204, "jump": 0x3EEB}))
    assert (image.preferred, image.relocatable, image.init_size) == (MIB, False, 3 * 4096)
    assert (image.cmdline_size, image.has_entry_64) == (255, False)
    assert image.header.init_size == 0, "what lies behind the header's end is code, not fields"


def test_a_header_is_not_believed_beyond_its_version() -> None:
    image = read(bzimage({"version": 0x020A}))
    assert (image.has_entry_64, image.above_4g, image.initrd_limit) == (False, False, 0x8000_0000)


def test_the_kernels_name_is_found() -> None:
    file = bzimage()
    assert bytes(reader.name_of(span(file), read(file).header)) == b"6.1.0-test"


@pytest.mark.parametrize("pointer", [0, 0x5FF, 0x600, 0xFFFF])
def test_a_pointer_to_the_name_that_leads_nowhere_gives_no_name(pointer: int) -> None:
    file = bzimage({"kernel_version": pointer}, protected=bytes(16))
    assert bytes(reader.name_of(span(file), read(file).header)) == b""


REFUSED = [
    ({"boot_flag": 0}, "the kernel is no bzImage: it has no setup header (HdrS)"),
    ({"magic": 0x5372_6449}, "the kernel is no bzImage: it has no setup header (HdrS)"),
    ({"version": 0}, "the kernel speaks boot protocol 0.0: 2.4 (Linux 2.6.14) to 2.255 are handled"),
    ({"version": 0x0203}, "the kernel speaks boot protocol 2.3: 2.4 (Linux 2.6.14) to 2.255 are handled"),
    ({"version": 0xFFFF}, "the kernel speaks boot protocol 255.255: 2.4 (Linux 2.6.14) to 2.255 are handled"),
    ({"jump": 0x6AE9}, "the kernel's header begins with 0xe9 instead of a jump"),
    ({"jump": 0x10EB}, "the kernel's header ends at 0x212, before the last field of protocol 2.15"),
    ({"loadflags": 0}, "the kernel is a zImage, which loads below 1 MiB: make a bzImage"),
    ({"setup_sects": 255}, "the kernel is cut short: 6144 bytes, of which 131072 are its setup part"),
    ({"syssize": 257}, "the kernel is cut short: 4112 bytes are due after its setup part, 4096 are there"),
    (
        {"syssize": 0xFFFF_FFFF},
        "the kernel is cut short: 68719476720 bytes are due after its setup part, 4096 are there",
    ),
    ({"kernel_alignment": 0}, "the kernel wants the alignment 0x0: not a power of two up to 1 GiB"),
    ({"kernel_alignment": 0x30_0000}, "the kernel wants the alignment 0x300000: not a power of two up to 1 GiB"),
    ({"kernel_alignment": 0x8000_0000}, "the kernel wants the alignment 0x80000000: not a power of two up to 1 GiB"),
    ({"init_size": 0}, "the kernel says that 0x0 bytes are enough for it, less than its file has"),
    ({"init_size": 4095}, "the kernel says that 0xfff bytes are enough for it, less than its file has"),
    ({"pref_address": 1 << 40}, "the kernel wants to be at 0x10000000000: 1 MiB to 4 GiB can be had"),
    ({"pref_address": 0, "relocatable": 0}, "the kernel wants to be at 0x0: 1 MiB to 4 GiB can be had"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_followed_is_refused_by_name(fields: dict[str, int], message: str) -> None:
    with pytest.raises(BootError) as refused:
        read(bzimage(fields))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("length", [0, 0x1F1, 0x202, 0x28F])
def test_a_file_shorter_than_a_header_is_refused(length: int) -> None:
    with pytest.raises(BootError, match=f"the kernel is no bzImage: it has {length} bytes before its first boundary"):
        read(bzimage()[:length])


def test_a_kernel_goes_where_it_wants_to_be() -> None:
    memory, context = pc(64)
    image = placed(bzimage(), memory, context)
    assert image.part.place == image.header.code32_start == 16 * MIB
    assert taken(context) == [(16 * MIB, 32 * MIB)]


def test_the_preferred_place_is_rounded_up_as_the_kernel_does_it() -> None:
    memory, context = pc(64)
    assert placed(bzimage({"pref_address": 5 * MIB}), memory, context).part.place == 6 * MIB


def test_a_relocatable_kernel_moves_up_where_its_place_is_taken() -> None:
    memory, context = pc(128)
    reserve(context, 20 * MIB, 0x1000)
    image = placed(bzimage(), memory, context)
    assert image.part.place > 20 * MIB
    assert image.part.place % (2 * MIB) == 0
    assert image.header.code32_start == image.part.place


def test_a_kernel_that_cannot_be_moved_says_who_is_in_the_way() -> None:
    memory, context = pc(128)
    reserve(context, 20 * MIB, 0x1000)
    with pytest.raises(BootError, match="the kernel needs 0x2000000 bytes at 0x1000000: 0x1400000 is taken"):
        placed(bzimage({"relocatable": 0}), memory, context)


def test_an_alignment_that_cannot_be_had_gives_way_to_the_least_one() -> None:
    memory, context = machine((MIB, 17 * MIB), (70 * MIB, 105 * MIB))
    image = placed(bzimage({"kernel_alignment": 64 * MIB}), memory, context)
    assert image.part.place == 72 * MIB
    assert image.header.kernel_alignment == 2 * MIB


def test_too_little_memory_is_told_by_how_much() -> None:
    memory, context = pc(40)
    with pytest.raises(BootError, match=r"not enough memory for the kernel: 32768 KiB .* 8192 KiB are missing"):
        placed(bzimage(), memory, context)


def test_4_gib_of_working_memory_cannot_be_had() -> None:
    memory, context = pc(2048)
    with pytest.raises(BootError, match="not enough memory for the kernel: 4194304 KiB"):
        placed(bzimage({"init_size": 0xFFFF_FFFF}), memory, context)

"""Does the reader of bzImages follow the boot protocol's header, and refuse by name what cannot be followed?"""

import pytest

from bootslang.errors import KernelInvalid
from bootslang.kernel import Kernel, KernelKind
from support.payloads import MIB, PROTECTED, bzimage

NAME = "vmlinuz"
DAMAGED = "The file is damaged or unfinished: compare it with where it came from, or build it again."
CUT_OFF = "The file is cut off: copy or download it again."


def refusal(file: bytes) -> KernelInvalid:
    """The error that reading ends with."""
    with pytest.raises(KernelInvalid) as caught:
        Kernel.read(file, name=NAME)
    return caught.value


def test_a_kernel_of_today_is_read_as_it_is() -> None:
    kernel = Kernel.read(bzimage())
    assert (kernel.kind, kernel.bits, kernel.entry) == (KernelKind.BZIMAGE, 64, 16 * MIB + 0x200)
    assert kernel.memory == range(16 * MIB, 48 * MIB)
    assert kernel.setup is not None
    assert (kernel.setup.protocol, kernel.setup.setup_bytes, kernel.setup.protected_bytes) == (0x20F, 2048, 4096)
    assert (kernel.setup.entry64, kernel.setup.above_4g, kernel.setup.relocatable) == (True, True, True)
    assert kernel.version == "6.1.0-test (a@b)"
    assert kernel.limits.initrd_address_max == (1 << 52) - 1


def test_a_32_bit_kernel() -> None:
    """Are entry and limits those of the 32-bit protocol without the flag for the 64-bit entry?"""
    kernel = Kernel.read(bzimage({"xloadflags": 4, "initrd_addr_max": 0x37FF_FFFF}))
    assert (kernel.bits, kernel.entry) == (32, 16 * MIB)
    assert kernel.limits.initrd_address_max == 0x37FF_FFFF
    assert kernel.limits.initrd_bytes == 0x3800_0000 - 48 * MIB


def test_flags_behind_the_protocols_end_are_not_believed() -> None:
    """Is xloadflags, which came with 2.12, ignored before?"""
    assert Kernel.read(bzimage({"version": 0x020A})).bits == 32


def test_the_blob_is_the_file_with_a_boundary() -> None:
    """Is the whole file kept, a signature behind it too, and cut between real-mode and protected-mode part?"""
    file = bzimage() + b"signature"
    assert list(Kernel.read(file).pieces()) == [file[:2048], PROTECTED + b"signature"]


def test_no_setup_sectors_mean_four() -> None:
    kernel = Kernel.read(bzimage({"setup_sects": 0}, sectors=4))
    assert kernel.setup is not None
    assert kernel.setup.setup_bytes == 5 * 512


def test_255_setup_sectors() -> None:
    kernel = Kernel.read(bzimage(sectors=255))
    assert kernel.setup is not None
    assert kernel.setup.setup_bytes == 0x2_0000


def test_the_preferred_address_is_rounded_up_as_the_kernel_does_it() -> None:
    assert Kernel.read(bzimage({"pref_address": 17 * MIB})).memory.start == 18 * MIB
    assert Kernel.read(bzimage({"pref_address": 17 * MIB, "relocatable": 0})).memory.start == 17 * MIB


def test_a_kernel_without_a_name() -> None:
    assert Kernel.read(bzimage({"kernel_version": 0})).version == ""


@pytest.mark.parametrize(
    ("fields", "why", "hint"),
    [
        (
            {"setup_sects": 255},
            "its real-mode part is said to have 131,072 bytes, and the whole file has 6,144",
            CUT_OFF,
        ),
        ({"setup_sects": 11}, "its real-mode part is said to have 6,144 bytes, and the whole file has 6,144", CUT_OFF),
        ({"jump": 0x00EB}, "its setup header ends at 0x202, before the fields of its protocol 2.15, at 0x26c", DAMAGED),
        ({"jump": 0xFFEB}, "its setup header ends at 0x301, and the zero page has room for it up to 0x290", DAMAGED),
        (
            {"version": 0},
            (
                "it speaks boot protocol 0.00, and the oldest that tells how much memory a kernel takes is 2.10"
                " (Linux 2.6.31)"
            ),
            "Use a newer kernel.",
        ),
        (
            {"version": 0x0209},
            (
                "it speaks boot protocol 2.09, and the oldest that tells how much memory a kernel takes is 2.10"
                " (Linux 2.6.31)"
            ),
            "Use a newer kernel.",
        ),
        ({"version": 0xFFFF}, "it claims boot protocol 255.255, and there is none after 2.xx", DAMAGED),
        (
            {"loadflags": 0},
            "it is a zImage, which loads below 1 MiB (LOADED_HIGH is clear)",
            "Build it as a bzImage: `make bzImage`.",
        ),
        (
            {"kernel_alignment": 0},
            "its kernel_alignment is 0x0, and it has to be a power of two up to 0x40000000",
            DAMAGED,
        ),
        (
            {"kernel_alignment": 0x300000},
            "its kernel_alignment is 0x300000, and it has to be a power of two up to 0x40000000",
            DAMAGED,
        ),
        (
            {"kernel_alignment": 0x8000_0000},
            "its kernel_alignment is 0x80000000, and it has to be a power of two up to 0x40000000",
            DAMAGED,
        ),
        (
            {"min_alignment": 22},
            "its min_alignment is 2 to the 22, more than its kernel_alignment of 0x200000",
            DAMAGED,
        ),
        (
            {"min_alignment": 255},
            "its min_alignment is 2 to the 255, more than its kernel_alignment of 0x200000",
            DAMAGED,
        ),
        ({"init_size": 0}, "it claims to run in 0 bytes (init_size), and has 4,096 itself", DAMAGED),
        (
            {"init_size": 0xFFFF_FFFF},
            "it wants 4,294,967,295 bytes of memory from 0x1000000 on, up to 0x100ffffff, past 4 GiB",
            DAMAGED,
        ),
        (
            {"pref_address": (1 << 64) - 1},
            "it wants 33,554,432 bytes of memory from 0xffffffffffffffff on, up to 0x10000000002000000, past 4 GiB",
            DAMAGED,
        ),
        (
            {"pref_address": 0x9_0000},
            "it wants to lie at 0x90000, below 1 MiB, where the firmware and the loader are",
            DAMAGED,
        ),
        ({"syssize": 0}, "its header says that the protected-mode part is empty (syssize 0)", DAMAGED),
        (
            {"syssize": 257},
            "its protected-mode part has 4,096 bytes, and its header says 4,112 (syssize)",
            CUT_OFF,
        ),
        (
            {"kernel_version": 0xFFFF},
            "its version string is said to be at 0x101ff, outside of its setup part, which ends at 0x800",
            DAMAGED,
        ),
        (
            {"kernel_version": 0x600},
            "its version string is said to be at 0x800, outside of its setup part, which ends at 0x800",
            DAMAGED,
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(fields: dict[str, int], why: str, hint: str) -> None:
    error = refusal(bzimage(fields))
    assert error.message == f"{NAME} cannot be booted: {why}."
    assert error.hint == hint


def test_a_boot_sector_without_hdrs() -> None:
    """Is a file with 55 AA but no "HdrS" named for what it may be?"""
    assert refusal(bzimage({"magic": 0})).message == (
        f"{NAME} is no kernel that can be booted: it is a boot sector, or a Linux kernel from before 1995 (55 AA at"
        " 0x1FE without HdrS)."
    )


@pytest.mark.parametrize("length", [0x206, 0x28F])
def test_a_file_that_ends_in_its_header(length: int) -> None:
    error = refusal(bzimage()[:length])
    assert error.message == f"{NAME} cannot be booted: it ends after {length} bytes, inside the setup header."
    assert error.hint == CUT_OFF


def test_a_cut_file() -> None:
    assert refusal(bzimage()[:-1]).message == (
        f"{NAME} cannot be booted: its protected-mode part has 4,095 bytes, and its header says 4,096 (syssize)."
    )


def test_odd_bytes_in_the_name_are_not_printed() -> None:
    """Does a control character in the version string stay off the user's terminal?"""
    file = bytearray(bzimage())
    file[0x300:0x306] = b"6\x1b[2J\xff"
    assert Kernel.read(bytes(file)).version.startswith("6�[2J�")

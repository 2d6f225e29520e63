"""Does Linux start from files in memory, wherever they lie: kernels, initrds, bundles? Stage 4 runs natively."""

import struct
from pathlib import Path

import pytest

from bootslang import Bundle
from bootslang.boot.context import KERNEL, MODULE, SPENT_MEMORY
from bootslang.boot.lift.vmlinux import SLACK
from bootslang.slang import BootError
from support.lift import Door, Entered
from support.payloads import MIB, PROTECTED, READ_WRITE, Elf, Load, bzimage

TEXT = b"code" * 1000
DATA = b"data" * 500
INITRD = bytes(range(256)) * 1008
"""63 whole pages."""
HIGH = 0xFFFF_FFFF_8100_0000


def vmlinux(door: Door, at: int = 16, bits: int = 64) -> bytes:
    """An ELF file for `at` MiB of the machine's memory."""
    start = door.base + at * MIB
    high = HIGH if bits == 64 else 0xC000_0000
    text = Load(start, TEXT, virtual=high)
    data = Load(start + 2 * MIB, DATA, memory=MIB, flags=READ_WRITE, virtual=high + 2 * MIB)
    kernel = Elf([text, data], bits=bits)
    return kernel.head + kernel.body


FIXED_BYTES = 8 * MIB


def fixed(door: Door) -> bytes:
    """A bzImage that can be but at 16 MiB, where it takes FIXED_BYTES."""
    wants = {"pref_address": door.base + 16 * MIB, "init_size": FIXED_BYTES, "relocatable": 0, "xloadflags": 1}
    return bzimage(wants, protected=PROTECTED * 40)


def is_loaded_fixed(door: Door) -> bool:
    return door.read(door.base + 16 * MIB, len(PROTECTED) * 40) == PROTECTED * 40


def is_loaded(door: Door, entered: Entered) -> bool:
    """Whether a vmlinux is where it was entered, whole, with zeros where it has no bytes."""
    start = entered.entry
    gap, rest = 2 * MIB - len(TEXT), MIB - len(DATA)
    memory = TEXT + bytes(gap) + DATA + bytes(rest)
    return door.read(start, len(memory)) == memory


@pytest.mark.parametrize("bits", [64, 32])
def test_a_vmlinux_is_copied_to_where_it_wants_to_be(bits: int) -> None:
    with Door() as door:
        door.add(vmlinux(door, bits=bits), 40 * MIB + 123, b"root=/dev/sda1")
        entered = door.boot()
        assert entered.entry == door.base + 16 * MIB
        assert is_loaded(door, entered)
        assert entered.long_mode == (bits == 64)
        assert entered.command_line == b"root=/dev/sda1"
        assert (entered.initrd, entered.zero_page.header.ramdisk_image) == (b"", 0)
        assert door.taken(KERNEL) == [(16 * MIB, 3 * MIB + SLACK)]


def test_segments_may_share_bytes_with_the_headers_and_with_each_other() -> None:
    with Door() as door:
        start = door.base + 16 * MIB
        segments = [Load(start, TEXT, virtual=HIGH), Load(start + 2 * MIB, DATA, virtual=HIGH + 2 * MIB)]
        kernel = Elf(segments, entry=start + 200)
        file = kernel.head + kernel.body
        kernel.patches[64 + 8] = struct.pack("<Q", 0)
        kernel.patches[64 + 32] = struct.pack("<QQ", len(file), len(file))
        file = kernel.head + kernel.body
        door.add(file, 40 * MIB)
        door.boot()
        assert door.read(start, len(file)) == file
        assert door.read(start + 2 * MIB, len(DATA)) == DATA


def test_a_bzimage_is_copied_to_where_it_wants_to_be() -> None:
    with Door() as door:
        wants = {"pref_address": door.base + 16 * MIB, "init_size": 8 * MIB, "xloadflags": 1}
        door.add(bzimage(wants), 40 * MIB, b"quiet")
        entered = door.boot()
        assert entered.entry == door.base + 16 * MIB + 0x200
        assert door.read(door.base + 16 * MIB, len(PROTECTED)) == PROTECTED
        assert entered.command_line == b"quiet"


def test_a_kernel_that_can_be_moved_goes_elsewhere_where_a_module_has_its_place() -> None:
    with Door() as door:
        door.add(vmlinux(door), 16 * MIB)
        initrd = door.add(INITRD, 18 * MIB)
        entered = door.boot()
        assert is_loaded(door, entered)
        assert entered.entry > initrd
        assert (entered.initrd, entered.initrd_place) == (INITRD, 18 * MIB)


@pytest.mark.parametrize("offset", [15 * MIB + 4096, 16 * MIB, 17 * MIB + 5, 20 * MIB, 21 * MIB - 4096])
def test_a_kernel_file_that_lies_where_the_kernel_goes_is_moved_first(offset: int) -> None:
    with Door() as door:
        file = vmlinux(door, bits=32)
        door.add(file + bytes(MIB), offset)
        entered = door.boot()
        assert entered.entry == door.base + 16 * MIB
        assert is_loaded(door, entered)
        (moved,) = door.taken(MODULE)
        assert moved[0] >= 16 * MIB + 3 * MIB + SLACK, "not where it was, and out of the way"


@pytest.mark.parametrize("offset", [16 * MIB - len(INITRD) + 1, 17 * MIB, 16 * MIB + FIXED_BYTES - 1])
def test_an_initrd_that_lies_where_the_kernel_goes_is_moved_not_destroyed(offset: int) -> None:
    with Door() as door:
        door.add(fixed(door), 40 * MIB)
        door.add(INITRD, offset)
        entered = door.boot()
        assert is_loaded_fixed(door)
        assert entered.initrd == INITRD


def test_all_that_lies_where_the_kernel_goes_is_moved() -> None:
    with Door() as door:
        file = fixed(door)
        door.add(file, 16 * MIB + 100)
        for number in range(5):
            door.add(INITRD[number:], (17 + number) * MIB)
        entered = door.boot()
        assert is_loaded_fixed(door)
        assert [len(entered.initrd), entered.initrd[: len(INITRD)]] == [5 * len(INITRD) - 4, INITRD]
        assert entered.initrd[-1000:] == INITRD[-1000:]


@pytest.mark.parametrize("offset", [16 * MIB - len(INITRD), 16 * MIB + FIXED_BYTES])
def test_one_that_just_does_not_lie_there_stays(offset: int) -> None:
    with Door() as door:
        door.add(fixed(door), 40 * MIB)
        door.add(INITRD, offset)
        assert door.boot().initrd == INITRD
        assert (offset, len(INITRD)) in door.taken(MODULE)


def test_where_there_is_no_room_above_it_is_moved_below() -> None:
    with Door(24) as door:
        door.add(fixed(door), 8 * MIB)
        door.add(INITRD, 17 * MIB)
        entered = door.boot()
        assert is_loaded_fixed(door)
        assert entered.initrd == INITRD
        assert entered.initrd_place < 16 * MIB


def test_what_cannot_be_moved_for_want_of_memory_is_told() -> None:
    with Door(24) as door:
        door.add(vmlinux(door, bits=32), 0)
        door.add(bytes(17 * MIB), 6 * MIB)
        with pytest.raises(BootError, match="not enough memory for a file that lies where the kernel has to be"):
            door.boot()


def test_a_single_initrd_stays_where_it_lies() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.add(b"", 41 * MIB)
        door.add(INITRD, 44 * MIB)
        entered = door.boot()
        assert (entered.initrd, entered.initrd_place) == (INITRD, 44 * MIB)


def test_one_that_does_not_begin_with_a_page_is_copied() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.add(INITRD, 44 * MIB + 4)
        entered = door.boot()
        assert entered.initrd == INITRD
        assert entered.initrd_place % 4096 == 0


def test_one_that_lies_higher_than_the_kernel_reaches_is_copied() -> None:
    with Door() as door:
        limit = door.base + 30 * MIB
        wants = {
            "pref_address": door.base + 16 * MIB,
            "init_size": 8 * MIB,
            "initrd_addr_max": limit - 1,
            "xloadflags": 1,
        }
        door.add(bzimage(wants), 40 * MIB)
        door.add(INITRD, 30 * MIB - 4096)
        entered = door.boot()
        assert entered.initrd == INITRD
        assert entered.initrd_place + len(INITRD) <= 30 * MIB


@pytest.mark.parametrize("size", [1, 3, 512, 4096, 4097])
@pytest.mark.parametrize("offset", [44 * MIB, 44 * MIB + 1], ids=["in place", "copied"])
def test_its_size_is_told_to_the_byte(size: int, offset: int) -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.add(INITRD[:size], offset)
        assert door.boot().initrd == INITRD[:size]


def test_as_many_modules_as_a_door_may_bring_are_loaded() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        for number in range(31):
            door.add(bytes([number] * 4), 44 * MIB + number * 100)
        assert door.boot().initrd == b"".join(bytes([number] * 4) for number in range(31))


def test_more_modules_than_fit_are_refused() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.context.module_count = 33
        with pytest.raises(BootError, match="slice out of range"):
            door.boot()


def test_several_initrds_become_one() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        for number, data in enumerate([b"first", b"second one", b""]):
            door.add(data, (44 + number) * MIB)
        assert door.boot().initrd == b"first\0\0\0second one"


def bundle(tmp_path: Path, kernel: bytes, codec: str = "none", line: str = "") -> bytes:
    """What `bootslang bundle` makes of a kernel and an initrd."""
    (tmp_path / "vmlinux").write_bytes(kernel)
    (tmp_path / "initrd").write_bytes(INITRD)
    Bundle(kernel=tmp_path / "vmlinux", initrds=[tmp_path / "initrd"], command_line=line, codec=codec).build(
        tmp_path / "bundle"
    )
    return (tmp_path / "bundle").read_bytes()


@pytest.mark.parametrize("sealed", [False, True], ids=["module", "sealed in"])
@pytest.mark.parametrize("codec", ["none", "bzip2"])
def test_a_bundle_is_the_whole_payload(tmp_path: Path, codec: str, sealed: bool) -> None:  # noqa: FBT001
    with Door() as door:
        data = bundle(tmp_path, vmlinux(door), codec, "ro quiet")
        if sealed:
            door.seal(data, 40 * MIB)
        else:
            door.add(data, 40 * MIB)
        entered = door.boot()
        assert is_loaded(door, entered)
        assert entered.initrd == INITRD
        assert entered.command_line == b"ro quiet"


@pytest.mark.parametrize("sealed", [False, True], ids=["module", "sealed in"])
@pytest.mark.parametrize("codec", ["none", "bzip2"])
def test_a_bundle_that_lies_where_the_kernel_goes_is_moved(tmp_path: Path, codec: str, sealed: bool) -> None:  # noqa: FBT001
    with Door() as door:
        data = bundle(tmp_path, fixed(door), codec, "ro quiet")
        if sealed:
            door.seal(data, 16 * MIB)
        else:
            door.add(data, 16 * MIB)
        entered = door.boot()
        assert is_loaded_fixed(door)
        assert entered.initrd == INITRD
        assert entered.command_line == b"ro quiet"


@pytest.mark.parametrize("sealed", [False, True], ids=["module", "sealed in"])
def test_modules_beside_a_bundle_are_further_initrds(tmp_path: Path, sealed: bool) -> None:  # noqa: FBT001
    with Door() as door:
        data = bundle(tmp_path, vmlinux(door))
        if sealed:
            door.seal(data, 40 * MIB)
        else:
            door.add(data, 40 * MIB)
        door.add(b"more", 44 * MIB)
        assert door.boot().initrd == INITRD + b"more"


def test_a_modules_line_comes_before_the_bundles_and_that_before_the_loaders(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for module, sealed, loader, expected in [
        ("of the module", "of the bundle", "of the loader", b"of the module"),
        ("", "of the bundle", "of the loader", b"of the bundle"),
        ("", "", "of the loader", b"of the loader"),
        ("", "", "", b""),
    ]:
        with Door() as door:
            door.add(bundle(tmp_path, vmlinux(door), line=sealed), 40 * MIB, module.encode())
            door.set_line(loader.encode())
            assert door.boot().command_line == expected
        passed_over = "so this one is passed over: of the loader" in capfd.readouterr().out
        assert passed_over == (bool(loader) and expected != loader.encode())


def test_without_any_module_it_is_told_what_to_do() -> None:
    with Door() as door, pytest.raises(BootError, match=r"there is nothing to boot: give the loader a kernel, or"):
        door.boot()


def test_an_empty_file_is_no_kernel() -> None:
    with Door() as door:
        door.add(b"", 40 * MIB)
        with pytest.raises(BootError, match="the first module is empty"):
            door.boot()


def test_what_is_no_kernel_is_told_by_what_it_begins_with() -> None:
    with Door() as door:
        door.add(b"#!/bin/sh\n" * 100, 40 * MIB)
        with pytest.raises(BootError, match="the kernel is no ELF file: it begins with 0x622f2123"):
            door.boot()


@pytest.mark.parametrize("size", [1, 19, 63])
def test_a_file_shorter_than_a_header_is_refused(size: int) -> None:
    with Door() as door:
        door.add(vmlinux(door)[:size], 40 * MIB)
        with pytest.raises(BootError, match=f"the kernel is no ELF file: it has {size} bytes"):
            door.boot()


def test_a_file_cut_short_is_refused() -> None:
    with Door() as door:
        door.add(vmlinux(door)[:-1], 40 * MIB)
        with pytest.raises(BootError, match="reaches beyond the kernel file's end"):
            door.boot()


def test_an_initrd_larger_than_the_memory_is_told_by_how_much() -> None:
    with Door(32) as door:
        door.add(vmlinux(door), 0)
        door.add(bytes(6 * MIB), 8 * MIB + 1)
        door.add(bytes(6 * MIB), 24 * MIB + 1)
        with pytest.raises(BootError, match=r"not enough memory for the initrd: 12288 KiB .* KiB are missing"):
            door.boot()


def test_modules_whose_sizes_do_not_fit_64_bits_are_refused() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.add(INITRD, 44 * MIB)
        door.add(INITRD, 46 * MIB)
        door.context.modules[1].size = (1 << 64) - 8
        with pytest.raises(BootError):
            door.boot()


def test_a_module_at_address_0_is_refused() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.add(INITRD, 44 * MIB)
        door.context.modules[1].base = 0
        with pytest.raises(BootError, match="a module of 258048 bytes at address 0 cannot be"):
            door.boot()


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (30, "the bundle's manifest is damaged"),
        (8, "the bundle's manifest is damaged"),
        (20, "the bundle's manifest is of another version"),
        (4096, r"the chunk table at 0x1000 is damaged"),
        (-5000, r"initrd: chunk 0 of 1 is damaged"),
    ],
)
def test_a_flipped_bit_in_a_bundle_is_found(tmp_path: Path, offset: int, message: str) -> None:
    with Door() as door:
        data = bytearray(bundle(tmp_path, vmlinux(door)))
        data[offset] ^= 4
        door.add(bytes(data), 40 * MIB)
        with pytest.raises(BootError, match=message):
            door.boot()


@pytest.mark.parametrize("size", [4096, 8192, -4096])
def test_a_bundle_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    with Door() as door:
        door.add(bundle(tmp_path, vmlinux(door))[:size], 40 * MIB)
        with pytest.raises(BootError, match=r"lies? outside the partition's data"):
            door.boot()


def test_where_a_file_was_copied_from_is_free_again() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.add(INITRD, 44 * MIB + 4)
        entered = door.boot()
        assert door.taken(MODULE) == [(entered.initrd_place, len(INITRD))]


def test_what_no_kernel_needs_any_more_is_told_as_such() -> None:
    with Door() as door:
        door.add(vmlinux(door), 40 * MIB)
        door.boot()
        assert (40 * MIB, len(vmlinux(door))) in door.taken(SPENT_MEMORY)
        assert door.taken(MODULE) == []

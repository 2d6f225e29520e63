"""Is a command line or an initrd that the kernel cannot take refused, with by how much?"""

from pathlib import Path

import pytest

from bootslang.errors import KernelInvalid
from bootslang.kernel import Kernel
from support.payloads import MIB, bzimage

NAME = "vmlinuz"


def kernel(**fields: int) -> Kernel:
    return Kernel.read(bzimage(fields), name=NAME)


def test_a_command_line_may_fill_its_place() -> None:
    limits = kernel(cmdline_size=8).limits
    assert limits.check_command_line("12345678") == b"12345678"
    with pytest.raises(KernelInvalid) as caught:
        limits.check_command_line("1234567ü")
    assert str(caught.value) == (
        "The command line has 9 bytes, but vmlinuz takes 8 (cmdline_size in its header).\nShorten it by 1 bytes."
    )


def test_a_kernel_that_takes_no_command_line() -> None:
    limits = kernel(cmdline_size=0).limits
    assert limits.check_command_line("") == b""
    with pytest.raises(KernelInvalid) as caught:
        limits.check_command_line("x")
    assert caught.value.message == ("The command line has 1 bytes, but vmlinuz takes 0 (cmdline_size in its header).")


def test_a_nul_in_the_command_line() -> None:
    with pytest.raises(KernelInvalid) as caught:
        kernel().limits.check_command_line(b"quiet\0splash")
    assert caught.value.message == ("The command line has a NUL character at byte 5, where the kernel would end it.")


def test_bytes_that_are_no_utf8_pass_unchanged() -> None:
    assert kernel().limits.check_command_line(b"\xff".decode("utf-8", "surrogateescape")) == b"\xff"


def test_an_initrd_may_fill_the_room_above_the_kernel() -> None:
    limits = kernel(xloadflags=0, initrd_addr_max=64 * MIB - 1).limits
    assert limits.initrd_bytes == 16 * MIB
    limits.check_initrd_size(1)
    limits.check_initrd_size(16 * MIB)
    with pytest.raises(KernelInvalid) as caught:
        limits.check_initrd_size(16 * MIB + 1)
    assert str(caught.value) == (
        "The initrd has 16,777,217 bytes, but vmlinuz leaves room for 16,777,216: it has to lie beside the kernel and"
        " end at 0x3ffffff (initrd_addr_max in its header).\nMake it smaller by 1 bytes, or use a 64-bit kernel."
    )


def test_an_initrd_may_lie_below_the_kernel() -> None:
    assert kernel(xloadflags=0, initrd_addr_max=48 * MIB - 1).limits.initrd_bytes == 15 * MIB
    assert kernel(xloadflags=0, initrd_addr_max=0).limits.initrd_bytes == 0


def test_an_initrd_above_4_gib_for_a_kernel_that_takes_it() -> None:
    kernel().limits.check_initrd_size(8 << 30)


def test_an_empty_initrd() -> None:
    with pytest.raises(KernelInvalid) as caught:
        kernel().limits.check_initrd_size(0)
    assert str(caught.value) == "The initrd is empty.\nLeave it away, or give one that holds files."


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    """Are a missing file, a directory, a device and a name with a NUL refused by name?"""
    for path, message in (
        (tmp_path, f"{tmp_path} is no kernel: it is a directory."),
        (tmp_path / "no", f"{tmp_path}/no cannot be read: No such file or directory."),
        (Path("/dev/null"), "/dev/null is no kernel: it is a character device."),
        ("a\0b", "a\0b cannot be read: embedded null byte."),
    ):
        with pytest.raises(KernelInvalid) as caught:
            Kernel.read(path)
        assert caught.value.message == message


def test_a_file_that_shrinks_after_it_was_read(tmp_path: Path) -> None:
    """Is that an error when its pieces are wanted, not a short blob?"""
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage())
    read = Kernel.read(path)
    path.write_bytes(bzimage()[:3000])
    with pytest.raises(KernelInvalid) as caught:
        list(read.pieces())
    assert str(caught.value) == (
        f"{path} ends at 0xbb8, inside the 0x1000 bytes at 0x800.\n"
        "The file is cut off, or was changed while it was read."
    )


def test_everything_is_told_as_plain_data() -> None:
    """Is what `inspect` prints made of numbers and texts alone?"""
    import json

    description = json.loads(json.dumps(kernel().describe()))
    assert (description["kind"], description["setup"]["protocol"]) == ("bzimage", "2.15")
    assert description["memory"] == {"start": 16 * MIB, "end": 48 * MIB}

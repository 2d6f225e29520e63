"""Does extract give the ELF file that is in a bzImage, and leave what is there alone when it cannot?"""

import gzip
from pathlib import Path

from support.command import Command
from support.payloads import kernel_with

ELF = b"\x7fELF" + bytes(range(256)) * 50


def test_the_elf_file_comes_out(bootslang: Command) -> None:
    Path("vmlinuz").write_bytes(kernel_with(gzip.compress(ELF)))
    done = bootslang("extract", "vmlinuz")
    assert (done.code, done.out) == (0, f"vmlinux: {len(ELF)} bytes\n")
    assert Path("vmlinux").read_bytes() == ELF


def test_a_damaged_kernel_leaves_the_file_that_is_there(bootslang: Command) -> None:
    Path("vmlinuz").write_bytes(kernel_with(gzip.compress(b"text")))
    Path("vmlinux").write_bytes(b"the old one")
    done = bootslang("extract", "vmlinuz")
    assert done.code == 4
    assert "is no ELF file" in done.err
    assert Path("vmlinux").read_bytes() == b"the old one"


def test_a_vmlinux_is_no_bzimage(bootslang: Command, kernel: Path) -> None:
    done = bootslang("extract", str(kernel), "-o", "out")
    assert done.code == 2
    assert "is an ELF file already" in done.err
    assert not Path("out").exists()

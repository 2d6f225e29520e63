"""Do build, inspect and verify say what the API says, and how does each refuse?"""

import json
from pathlib import Path

import pytest

from bootslang import Bundle, Image
from bootslang.kernel.debian import cloud_kernel
from support.command import Command, Result
from support.disks import MIB
from support.elf_writer import movable, relocation, static, text


def test_build_prints_the_report_and_the_same_bytes_come_from_the_api(bootslang: Command, kernel: Path) -> None:
    Path("initrd").write_bytes(b"initrd" * 1000)
    built = bootslang(
        "build",
        "-k",
        str(kernel),
        "-i",
        "initrd",
        "-i",
        "initrd",
        "-c",
        "a=1",
        "--codec",
        "bzip2",
        "--verbose",
        "1.img",
    )
    assert (built.code, built.err) == (0, "")
    image = Image(kernel=kernel, initrds=["initrd", "initrd"], command_line="a=1", codec="bzip2", verbose=True)
    report = image.build("2.img")
    assert built.out == "".join(f"{line}\n" for line in report.lines()).replace("2.img", "1.img")
    assert Path("1.img").read_bytes() == Path("2.img").read_bytes()


def test_every_option_of_build_reaches_the_image(bootslang: Command, kernel: Path) -> None:
    options = "--size 64M --sector-size 4096 --framebuffer 1024x768x32 --disk-signature 0x12345678 --codec none --force"
    assert bootslang("build", "-k", str(kernel), *options.split(), "disk.img").code == 0
    shown = json.loads(bootslang("inspect", "--json", "disk.img").out)
    slot = shown["boot"]["loader_slots"][0]
    assert (shown["size"], shown["sector_size"], shown["disk_signature"]) == (64 * MIB, 4096, "0x12345678")
    assert (slot["framebuffer"], slot["verbose"]) == ([1024, 768, 32], False)


def test_a_root_tree_becomes_a_second_partition(bootslang: Command, kernel: Path) -> None:
    Path("rootfs").mkdir()
    Path("rootfs/hello").write_text("hello")
    assert bootslang("build", "-k", str(kernel), "--root", "rootfs", "disk.img").code == 0
    assert len(json.loads(bootslang("inspect", "--json", "disk.img").out)["partitions"]) == 2


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (
            "-k nowhere",
            4,
            "nowhere cannot be read: No such file or directory.\n  Check the path and its permissions.",
        ),
        (
            "-k KERNEL -i nowhere",
            4,
            "The initrd nowhere does not exist.\n  Name a file: a cpio archive, packed or not.",
        ),
        (
            "-k KERNEL --codec arc",
            2,
            "There is no codec 'arc'.\n  Choose one of: auto, none, bzip2, deflate, gzip, xz, lzma, lz4, zstd.",
        ),
        (
            "-k KERNEL --framebuffer big",
            2,
            "'big' is no video mode.\n  Write width, height and bits per pixel: 1024x768x32.",
        ),
        (
            "-k KERNEL --sector-size 513",
            2,
            "Sectors of 513 bytes are not supported.\n  Choose 512 or 4096.",
        ),
        (
            "-k KERNEL --root nowhere",
            2,
            "The root tree nowhere is no directory.\n  Give a directory with what / is to hold.",
        ),
    ],
)
def test_build_refuses_with_the_reason(bootslang: Command, kernel: Path, options: str, code: int, text: str) -> None:
    words = options.replace("KERNEL", str(kernel)).split()
    assert bootslang("build", *words, "disk.img") == Result(code, "", f"bootslang: error: {text}\n")
    assert not Path("disk.img").exists()


def test_verify_tells_damage_line_by_line(bootslang: Command, kernel: Path) -> None:
    bootslang("build", "-k", str(kernel), "disk.img")
    assert bootslang("verify", "disk.img") == Result(0, "disk.img: everything is as it was built\n", "")
    with Path("disk.img").open("r+b") as file:
        file.seek(MIB + 300)
        file.write(b"damage")
    found = bootslang("verify", "disk.img")
    assert found.code == 1
    assert found.out.startswith("loader slot A: ")
    assert found.err == (
        "bootslang: error: disk.img is damaged: 1 thing found.\n"
        "  `bootslang build` on it writes a new generation and loader.\n"
    )


def test_inspect_shows_a_disk_as_a_tree(bootslang: Command, kernel: Path) -> None:
    bootslang("build", "-k", str(kernel), "-c", "console=ttyS0 [bold]x[/bold]", "disk.img")
    shown = bootslang("inspect", "disk.img")
    assert (shown.code, shown.err) == (0, "")
    for words in (
        "├── partition table, disk signature 0x",
        "│   └── 1: type 0xda, sector 2048, ",
        "    ├── loader slot A at 0x0\n",
        "│   ├── stage 4 (64-bit): ",
        "    ├── manifest 0 at 0x80000: generation 1\n",
        "│       └── console=ttyS0 [bold]x[/bold]\n",
        "    ├── manifest 1 at 0x81000: empty\n",
        "    ├── boots generation 1\n",
        "        ├── 0x7c00-0x7dff stage 1\n",
    ):
        assert words in shown.out


def test_inspect_shows_damage(bootslang: Command, kernel: Path) -> None:
    bootslang("build", "-k", str(kernel), "disk.img")
    with Path("disk.img").open("r+b") as file:
        file.seek(MIB + 0x8_0000 + 40)
        file.write(b"damage")
    shown = bootslang("inspect", "disk.img")
    assert shown.code == 0
    assert "nothing here boots\n" in shown.out


def test_inspect_shows_an_elf_kernel(bootslang: Command, kernel: Path) -> None:
    shown = bootslang("inspect", str(kernel))
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"{kernel}: 64-bit ELF kernel (Linux), 304,096 bytes\n")
    assert "│   └── 0x1000000-0x10493df RE, 300,000 bytes from offset 0x1000\n" in shown.out
    assert json.loads(bootslang("inspect", "--json", str(kernel)).out)["kind"] == "elf64"


def test_a_kernel_of_ones_own_goes_onto_a_disk_with_all_its_options(bootslang: Command) -> None:
    Path("kernel.elf").write_bytes(movable(relocation()).build())
    Path("writable.elf").write_bytes(static(text(flags=7)).build())
    Path("font.psf").write_bytes(b"font")
    assert bootslang("build", "-k", "kernel.elf", "-i", "font.psf", "--randomise", "1.img").err == ""
    shown = bootslang("inspect", "1.img").out
    assert "kernel (hand-off): " in shown
    assert "─ randomise\n" in shown
    assert "initrd font.psf: 4 bytes" in shown
    built = bootslang("build", "-k", "writable.elf", "--protocol", "handoff", "--allow-wx", "2.img")
    assert "warning: writable.elf: program header 0 (PT_LOAD) is writable and executable (RWE)" in built.out
    assert "─ allow-wx\n" in bootslang("inspect", "2.img").out
    assert bootslang("bundle", "-k", "writable.elf", "--allow-wx", "-o", "own.bundle").code == 0
    assert bootslang("bundle", "-k", "kernel.elf", "--protocol", "linux", "-o", "own.bundle").code == 4


def test_inspect_shows_a_kernel_of_ones_own(bootslang: Command) -> None:
    """Is it shown by its virtual addresses, and what W^X would refuse as well?"""
    Path("kernel.elf").write_bytes(movable(relocation()).build())
    shown = bootslang("inspect", "kernel.elf")
    assert (shown.code, shown.err) == (0, "")
    for words in (
        "kernel.elf: 64-bit ELF kernel (hand-off protocol), ",
        "├── virtual memory 0x0-0x2fff, position-independent, 1 relocations; any physical memory\n",
        "│   └── 0x1000-0x2fff RW, ",
    ):
        assert words in shown.out
    Path("writable.elf").write_bytes(static(text(flags=7)).build())
    assert (
        "├── program header 0 (PT_LOAD) is writable and executable (RWE)\n" in bootslang("inspect", "writable.elf").out
    )


def test_inspect_takes_a_bzimage_for_a_kernel_although_it_ends_its_first_sector_like_a_disk(bootslang: Command) -> None:
    shown = bootslang("inspect", str(cloud_kernel()))
    assert ": bzImage, boot protocol 2.15, " in shown.out
    assert "entered in 64-bit mode at 0x" in shown.out


GZIP = b"\x1f\x8b\x08" + bytes(2000)
NO_SIGNATURE = "FILE is no kernel that can be booted: it is "


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", NO_SIGNATURE + "an empty file.\n"),
        (
            GZIP,
            NO_SIGNATURE + "a file compressed with gzip, and damaged.\n  Unpack it first, and give what comes out.\n",
        ),
        (
            bytes(450) + b"\x83" + bytes(59) + b"\x55\xaa" + bytes(512),
            "Entry 1 of the partition table has type 0x83, but no sectors.\n",
        ),
    ],
)
def test_inspect_names_what_a_file_is_instead(bootslang: Command, content: bytes, text: str) -> None:
    Path("FILE").write_bytes(content)
    shown = bootslang("inspect", "FILE")
    assert (shown.code, shown.out) == (4, "")
    assert shown.err.startswith(f"bootslang: error: {text}")


def test_inspect_shows_a_disk_that_has_no_active_partition(bootslang: Command) -> None:
    Path("FILE").write_bytes(bytes(510) + b"\x55\xaa" + bytes(512))
    assert "└── The disk has no active partition.\n" in bootslang("inspect", "FILE").out


def test_a_bundle_is_that_of_the_api_and_can_be_verified(bootslang: Command, kernel: Path) -> None:
    Path("initrd").write_bytes(b"initrd" * 1000)
    made = bootslang("bundle", "-k", str(kernel), "-i", "initrd", "-c", "a=1", "--codec", "bzip2", "-o", "linux.bundle")
    report = Bundle(kernel=kernel, initrds=["initrd"], command_line="a=1", codec="bzip2").build("2")
    assert made == Result(0, "".join(f"{line}\n" for line in report.lines()).replace("2:", "linux.bundle:", 1), "")
    assert Path("linux.bundle").read_bytes() == Path("2").read_bytes()
    assert bootslang("verify", "linux.bundle") == Result(0, "linux.bundle: everything is as it was built\n", "")
    data = bytearray(Path("linux.bundle").read_bytes())
    data[100_000] ^= 1  # in the kernel
    Path("linux.bundle").write_bytes(data)
    damaged = bootslang("verify", "linux.bundle")
    assert damaged.code == 1
    assert damaged.err.endswith("  `bootslang bundle` makes a new one.\n")


def test_a_kernel_is_not_called_a_damaged_disk(bootslang: Command, kernel: Path) -> None:
    """Whoever followed that advice would build a disk over it."""
    Path("loader.elf64").write_bytes(kernel.read_bytes())
    refused = bootslang("verify", "loader.elf64")
    assert refused.code == 4
    assert "loader.elf64 is neither a disk nor a bundle: it is an ELF file." in refused.err


def test_inspect_shows_a_bundle(bootslang: Command, kernel: Path) -> None:
    Path("initrd").write_bytes(b"initrd" * 1000)
    Bundle(kernel=kernel, initrds=["initrd"], command_line="a=1 [b]", codec="bzip2").build("linux.bundle")
    size = Path("linux.bundle").stat().st_size
    shown = bootslang("inspect", "linux.bundle").out
    assert shown.startswith(f"linux.bundle: bundle, {size:,} bytes\n├── kernel (ELF)")
    assert "a=1 [b]" in shown
    found = json.loads(bootslang("inspect", "--json", "linux.bundle").out)
    assert (found["size"], found["problem"]) == (size, "")
    assert [blob["kind"] for blob in found["blobs"]] == ["kernel (ELF)", "initrd", "command line"]
    assert found["blobs"][1]["checksum"].startswith("0x")
    data = bytearray(Path("linux.bundle").read_bytes())
    data[8] ^= 1
    Path("linux.bundle").write_bytes(data)
    assert "manifest: checksum at +8" in bootslang("inspect", "linux.bundle").out

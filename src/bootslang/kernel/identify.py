"""Say what a file is that is no kernel to boot: people pass the wrong file, and the right word saves an hour.

One table of marks at fixed offsets; compressed files are opened far enough to look at what is in them.
"""

import bz2
import codecs
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from bootslang.errors import KernelInvalid
from bootslang.kernel.file import FileBytes

WHAT_A_KERNEL_IS = (
    "A kernel is Linux's `bzImage` or `vmlinux` for x86, as most distributions have one at /boot/vmlinuz-*, or a 64-bit"
    " ELF file of your own."
)
_INITRAMFS = "Give it as the initrd (`-i`), and the kernel beside it (`-k`)."
_OTHER_CPU = "This loader boots x86 machines: take the kernel that was built for amd64 or i386."
_UNPACK = "Unpack it first, and give what comes out."

HEAD_BYTES = 0x10_0000
"""How much of a file is looked at; one block of bzip2 fits."""
_INNER_BYTES = 0x1_1000
"""How much of a compressed file's contents: past btrfs' mark at 0x10040."""
_TEXT_BYTES = 4096
"""How much of a file has to look like text to be called that."""
_DICTIONARY_BYTES_MAX = 0x1000_0000
"""Four times what `xz -9` uses; a damaged header may ask for 4 GiB."""

_MACHINES = {
    2: "SPARC",
    3: "i386",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC64",
    22: "S/390",
    40: "ARM",
    43: "SPARC v9",
    62: "x86-64",
    183: "AArch64",
    243: "RISC-V",
    258: "LoongArch",
}
_PE_MACHINES = {0x014C: "i386", 0x8664: "x86-64", 0x01C2: "ARM", 0xAA64: "AArch64", 0x5064: "RISC-V 64"}


@dataclass(frozen=True)
class Identity:
    """What a file is, as the end of the sentence "it is …", and what to do instead of booting it."""

    what: str
    hint: str = WHAT_A_KERNEL_IS


def not_a_kernel(file: FileBytes) -> KernelInvalid:
    """Return the error that names a file for what it is."""
    identity = identify(file.peek(0, HEAD_BYTES))
    return KernelInvalid(f"{file.name} is no kernel that can be booted: it is {identity.what}.", hint=identity.hint)


def identify(head: bytes, *, packed: bool = False) -> Identity:
    """Name a file by its first bytes, `HEAD_BYTES` of them if it has so many.

    `packed`: these bytes come out of a compressed file. What is compressed in there is not opened in turn: there are
    files that unpack to themselves.
    """
    if not head:
        return Identity("an empty file")
    for at, mark, identity in _MARKS:
        if head[at : at + len(mark)] == mark:
            return identity(head) if callable(identity) else identity
    for mark, name, unpack in _COMPRESSED:
        if head.startswith(mark):
            return _compressed(head, name, None if packed else unpack)
    return _unmarked(head)


def _elf(head: bytes) -> Identity:
    if len(head) < 20:
        return Identity("the beginning of an ELF file")
    order = ">" if head[5] == 2 else "<"
    kind, machine = struct.unpack_from(f"{order}HH", head, 16)
    name = _MACHINES.get(machine, f"machine number {machine}")
    if machine not in (3, 62) or order == ">":
        return Identity(f"an ELF file for {name}", _OTHER_CPU)
    if kind == 1:
        return Identity("an ELF object file or kernel module (.o, .ko), which is not linked to run")
    if kind == 4:
        return Identity("a core dump (ELF)")
    width = "32-bit" if head[4] == 1 else "64-bit"
    return Identity(f"a {width} ELF file for {name}, a mixture that no x86 kernel is")


def _portable_executable(head: bytes) -> Identity:
    """Tell MZ files apart: EFI applications and compressed EFI kernels, programs for DOS and Windows."""
    if head[4:8] == b"zimg":
        return Identity("a compressed EFI kernel of another CPU (zboot)", _OTHER_CPU)
    at = int.from_bytes(head[0x3C:0x40], "little")
    if len(head) < at + 0x5E or head[at : at + 4] != b"PE\0\0":
        return Identity("a DOS program (MZ)")
    machine, sections = struct.unpack_from("<HH", head, at + 4)
    table = at + 24 + int.from_bytes(head[at + 20 : at + 22], "little")
    names = {head[table + 40 * n : table + 40 * n + 8].rstrip(b"\0") for n in range(min(sections, 96))}
    subsystem = int.from_bytes(head[at + 0x5C : at + 0x5E], "little")
    name = _PE_MACHINES.get(machine, f"machine number {machine:#x}")
    if b".linux" in names:
        hint = "Take the kernel out of it: `objcopy -O binary -j .linux FILE vmlinuz`; the initrd is in `.initrd`."
        return Identity(f"a unified kernel image (EFI application for {name})", hint)
    if subsystem in (10, 11, 12):
        return Identity(f"an EFI {'application' if subsystem == 10 else 'driver'} for {name}")
    return Identity(f"a Windows program for {name}")


def _boot_sector(head: bytes) -> Identity:
    types = [head[at + 4] for at in range(0x1BE, 0x1FE, 16) if head[at] in (0, 0x80)]
    if len(types) == 4 and any(types):
        kind = "GPT" if 0xEE in types else "MBR"
        return Identity(f"a disk image ({kind} partition table)", _INSPECT_DISK)
    return Identity("a boot sector, or a Linux kernel from before 1995 (55 AA at 0x1FE without HdrS)")


def _unmarked(head: bytes) -> Identity:
    if not any(head):
        return Identity(f"nothing but zeros, at least in its first {len(head):,} bytes")
    if head.startswith(b"#!"):
        return Identity("a script")
    text = head[:_TEXT_BYTES]
    if not any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in text) and _is_utf8(text):
        return Identity("a text file")
    return Identity(f"data of no known kind, beginning with {head[:8].hex(' ')}")


def _is_utf8(text: bytes) -> bool:
    """Whether this is the beginning of UTF-8 text; a character may be cut at the end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text, final=len(text) < _TEXT_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def _compressed(head: bytes, name: str, unpack: Callable[[bytes], bytes] | None) -> Identity:
    """Name a compressed file by its contents as far as they can be had."""
    try:
        inner = unpack(head) if unpack else b""
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return Identity(f"a file compressed with {name}, and damaged", _UNPACK)
    if not inner:
        return Identity(f"a file compressed with {name}", _UNPACK)
    if inner.startswith(b"\x7fELF") and len(inner) >= 20 and inner[5] == 1 and inner[16] == 2 and inner[18] in (3, 62):
        return Identity(f"a {name}-compressed ELF file, perhaps a vmlinux", _UNPACK)
    contents = identify(inner, packed=True)
    if contents.what.startswith("an initramfs"):
        return Identity(f"an initramfs (cpio, {name})", _INITRAMFS)
    return Identity(f"a {name}-compressed file that holds {contents.what}", contents.hint)


def _gunzip(head: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(head, _INNER_BYTES)


def _bunzip2(head: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(head, _INNER_BYTES)


def _unxz(head: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=_DICTIONARY_BYTES_MAX).decompress(head, _INNER_BYTES)


def _unzstd(head: bytes) -> bytes:
    from bootslang.kernel.payload import zstd_module

    zstd = zstd_module()
    if zstd is None:
        return b""
    try:
        return bytes(zstd.ZstdDecompressor().decompress(head, _INNER_BYTES))
    except zstd.ZstdError as error:
        raise ValueError(error) from None


_INSPECT_DISK = "Look into it with `bootslang inspect`; a kernel is a file on such a disk."
_COMPRESSED: tuple[tuple[bytes, str, Callable[[bytes], bytes] | None], ...] = (
    (b"\x1f\x8b", "gzip", _gunzip),
    (b"BZh", "bzip2", _bunzip2),
    (b"\xfd7zXZ\0", "xz", _unxz),
    (b"\x5d\0\0", "lzma", _unxz),
    (b"\x28\xb5\x2f\xfd", "zstd", _unzstd),
    (b"\x02\x21\x4c\x18", "lz4", None),
    (b"\x04\x22\x4d\x18", "lz4", None),
    (b"\x89LZO", "lzop", None),
)
_CPIO = Identity("an initramfs (cpio)", _INITRAMFS)
_FILE_SYSTEM = (
    "A kernel is a file in it: copy it out (for ext4 without root: `debugfs -R 'dump /vmlinuz vmlinuz' FILE`)."
)
_MARKS: tuple[tuple[int, bytes, Identity | Callable[[bytes], Identity]], ...] = (
    (0, b"\x7fELF", _elf),
    (0, b"070701", _CPIO),
    (0, b"070702", _CPIO),
    (0, b"070707", _CPIO),
    (0, b"\xc7\x71", _CPIO),
    (0x38, b"ARM\x64", Identity("an arm64 Image", _OTHER_CPU)),
    (0x38, b"RSC\x05", Identity("a RISC-V Image", _OTHER_CPU)),
    (0x24, b"\x18\x28\x6f\x01", Identity("an ARM zImage", _OTHER_CPU)),
    (0, b"\x27\x05\x19\x56", Identity("a U-Boot image (uImage)", _OTHER_CPU)),
    (0, b"\xd0\x0d\xfe\xed", Identity("a device tree or a U-Boot FIT image", _OTHER_CPU)),
    (0, b"ANDROID!", Identity("an Android boot image")),
    (0x8001, b"CD001", Identity("a CD image (ISO 9660)", "A kernel is a file in it: copy it out (`isoinfo -R -x`).")),
    (0x200, b"EFI PART", Identity("a disk image (GPT partition table)", _INSPECT_DISK)),
    (0x1000, b"EFI PART", Identity("a disk image (GPT partition table, 4096-byte sectors)", _INSPECT_DISK)),
    (0x438, b"\x53\xef", Identity("an ext2, ext3 or ext4 file system", _FILE_SYSTEM)),
    (0, b"XFSB", Identity("an XFS file system", _FILE_SYSTEM)),
    (0x1_0040, b"_BHRfS_M", Identity("a btrfs file system", _FILE_SYSTEM)),
    (0, b"hsqs", Identity("a squashfs file system", "A kernel is a file in it: `unsquashfs FILE boot`.")),
    (0x400, b"\xe2\xe1\xf5\xe0", Identity("an EROFS file system", _FILE_SYSTEM)),
    (3, b"NTFS    ", Identity("an NTFS file system", _FILE_SYSTEM)),
    (
        0x52,
        b"FAT32   ",
        Identity("a FAT file system", "A kernel is a file in it: copy it out (`mcopy -i FILE ::vmlinuz .`)."),
    ),
    (
        0x36,
        b"FAT1",
        Identity("a FAT file system", "A kernel is a file in it: copy it out (`mcopy -i FILE ::vmlinuz .`)."),
    ),
    (0, b"QFI\xfb", Identity("a disk image (qcow2)", _INSPECT_DISK)),
    (0, b"KDMV", Identity("a disk image (VMDK)", _INSPECT_DISK)),
    (0, b"vhdxfile", Identity("a disk image (VHDX)", _INSPECT_DISK)),
    (0x40, b"\x7f\x10\xda\xbe", Identity("a disk image (VDI)", _INSPECT_DISK)),
    (0x101, b"ustar", Identity("a tar archive", _UNPACK)),
    (
        0,
        b"!<arch>\ndebian-binary",
        Identity("a Debian package", "Unpack it: `dpkg-deb -x FILE DIR`, then DIR/boot/vmlinuz-*."),
    ),
    (0, b"!<arch>\n", Identity("a static library (ar)")),
    (0, b"\xed\xab\xee\xdb", Identity("an RPM package", "Unpack it: `rpm2cpio FILE | cpio -id`.")),
    (0, b"PK\x03\x04", Identity("a zip archive", _UNPACK)),
    (0, b"BC\xc0\xde", Identity("LLVM bitcode")),
    (0, b"MZ", _portable_executable),
    (0x1FE, b"\x55\xaa", _boot_sector),
)

"""A small Linux system around one static busybox, which boots to a shell by itself; `init.sh` is its first process.

busybox_initramfs("/bin/busybox").write("initrd.gz")
"""

import lzma
import shutil
import struct
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path

from bootslang.errors import InitramfsInvalid, ToolMissing
from bootslang.initramfs.archive import Initramfs, StrPath

_PROGRAM_MACHINES = ((1, 3), (2, 62))
"""ELF class and machine of i386 and x86-64."""
_INTERPRETER = 3


def busybox_initramfs(
    busybox: StrPath,
    *,
    modules: Sequence[StrPath] = (),
    files: Mapping[str, bytes | StrPath] | None = None,
    commands: str = "",
) -> Initramfs:
    """Return a small Linux system around one static busybox, which starts a shell on the console.

    Its `init` mounts what a system needs, prints a banner and how long the boot took, mounts the partition that the
    command line names (`root=/dev/…` or `root=PARTUUID=…`; ext4 unless `rootfstype=` says more) on /mnt, and powers
    the machine off when the shell ends.

    Args:
        busybox: A statically linked busybox for x86, 32 or 64 bits.
        modules: Kernel modules (`.ko`, `.ko.xz`), loaded in this order before anything else.
        files: What else is to be there: path → contents, or the path of a file on this host. All are executable.
        commands: Shell commands that run before the shell starts.

    """
    program = Path(busybox)
    _check_program(program)
    archive = Initramfs()
    for directory in ("dev", "mnt", "proc", "root", "sbin", "sys", "tmp", "usr/bin", "usr/sbin"):
        archive.add_directory(directory, 0o1777 if directory == "tmp" else 0o755)
    archive.add_console()
    archive.add_file("bin/busybox", program, 0o755)
    archive.add_file("init", package_files("bootslang.initramfs").joinpath("init.sh").read_bytes(), 0o755)
    for number, module in enumerate(modules):
        name = Path(module).name.removesuffix(".xz")
        archive.add_file(f"lib/modules/{number:03}-{name}", module_bytes(Path(module)))
    for path, content in (files or {}).items():
        archive.add_file(path, content, 0o755)
    if commands:
        archive.add_file("etc/start", f"#!/bin/sh\n{commands}\n".encode(), 0o755)
    return archive


def find_busybox() -> Path:
    """Return the busybox of this host, if it can be the one program of a machine.

    Raises:
        ToolMissing: There is none, or it is none for x86, or needs libraries.

    """
    hint = "Install a static one (Debian: apt install busybox-static), or say where one is."
    found = shutil.which("busybox")
    if found is None:
        raise ToolMissing("busybox is not installed.", hint=hint)
    try:
        _check_program(Path(found))
    except InitramfsInvalid as error:
        raise ToolMissing(error.message, hint=hint) from None
    return Path(found)


def module_bytes(module: Path) -> bytes:
    """Return a kernel module's bytes; `.ko.xz` is unpacked, since not every busybox can."""
    try:
        data = module.read_bytes()
        return lzma.decompress(data) if module.suffix == ".xz" else data
    except (OSError, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InitramfsInvalid(f"The module {module} cannot be read: {reason}.", hint="Check the path.") from None


def _check_program(path: Path) -> None:
    """Check that a program runs on an x86 machine that has no other file: the machine would only say "No such file"."""
    hint = "Give a static busybox: Debian's package busybox-static has one."
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InitramfsInvalid(f"{path} cannot be read: {error.strerror}.", hint=hint) from None
    if not head.startswith(b"\x7fELF") or len(head) < 64:
        raise InitramfsInvalid(f"{path} is no program for Linux (ELF).", hint=hint)
    machine = int.from_bytes(head[18:20], "little")
    if head[5] != 1 or (head[4], machine) not in _PROGRAM_MACHINES:
        raise InitramfsInvalid(f"{path} is no program for x86: its ELF machine number is {machine}.", hint=hint)
    wide = head[4] == 2
    table, (size, count) = (
        (int.from_bytes(head[32:40], "little"), struct.unpack_from("<HH", head, 54))
        if wide
        else (int.from_bytes(head[28:32], "little"), struct.unpack_from("<HH", head, 42))
    )
    kinds = {int.from_bytes(head[table + size * n : table + size * n + 4], "little") for n in range(count)}
    if _INTERPRETER in kinds:
        raise InitramfsInvalid(
            f"{path} is dynamically linked: it needs libraries that the initramfs does not have.", hint=hint
        )

"""The Linux partition of `build --root DIR`: an ext4 file system with a tree in it, made by `mke2fs -d` without root.

The same tree gives the same bytes. mke2fs would put the time of the day and the host's configuration into the file
system, so it gets a configuration of ours and a fixed clock, and `debugfs` evens out afterwards what it copied from the
host: change times, access times, and, where the builder is not root, the builder's own user and group.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from xxhash import xxh3_128

from bootslang.errors import BootslangError, ImageInvalid, NoRoom, ToolMissing, UsageError

BLOCK_BYTES: Final = 4096
INODE_BYTES: Final = 256
_MIB: Final = 1 << 20
_CONFIGURATION: Final = """\
[defaults]
    base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
    default_mntopts = acl,user_xattr
    enable_periodic_fsck = 0
    blocksize = 4096
    inode_size = 256
    inode_ratio = 16384
[fs_types]
    ext4 = {
        features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
    }
"""
"""Features that every Linux of the last ten years mounts, whatever mke2fs's own configuration on this host says."""


class TreeTooLarge(NoRoom):
    """The file system is too small for the tree."""


@dataclass(frozen=True)
class Tree:
    """A directory that becomes a file system."""

    root: Path
    entries: tuple[Path, ...]
    """All that is below it, relative, sorted."""
    content_bytes: int
    """Of files and directories, in whole blocks."""
    digest: bytes
    """Of names, modes, targets and contents: different trees get different identities."""

    @property
    def least_bytes(self) -> int:
        """About what the file system needs, journal and tables included."""
        inodes = len(self.entries) + 11
        return self.content_bytes * 21 // 20 + inodes * (INODE_BYTES + 64) + 12 * _MIB


def read_tree(root: Path) -> Tree:
    """Look at every entry of a tree.

    Raises:
        UsageError: If `root` is no directory.

    """
    if not root.is_dir():
        raise UsageError(f"The root tree {root} is no directory.", hint="Give a directory with what / is to hold.")
    digest = xxh3_128()
    content = 0
    entries = tuple(sorted(_walk(root)))
    for entry in entries:
        path = root / entry
        try:
            status = path.lstat()
            digest.update(f"{entry}\0{status.st_mode:o}\0{status.st_size}\0".encode("utf-8", "surrogateescape"))
            if stat.S_ISLNK(status.st_mode):
                digest.update(os.fsencode(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    while block := file.read(_MIB):
                        digest.update(block)
        except OSError as error:
            raise ImageInvalid(f"The root tree's {path} cannot be read: {error.strerror}.") from error
        content += BLOCK_BYTES + -(-status.st_size // BLOCK_BYTES) * BLOCK_BYTES
    return Tree(root, entries, content, digest.digest())


def _walk(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ImageInvalid(f"The root tree's {error.filename} cannot be read: {error.strerror}.") from error

    for directory, directories, files in os.walk(root, onerror=refuse):
        for name in (*directories, *files):
            yield (Path(directory) / name).relative_to(root)


def make_file_system(image: Path, offset: int, size: int, tree: Tree, uuid: UUID) -> None:
    """Make an ext4 file system with `tree` in `size` bytes at `offset` of the file `image`.

    Raises:
        TreeTooLarge: If the tree does not fit.
        ToolMissing: If e2fsprogs is not installed.

    """
    epoch = clock()
    with tempfile.TemporaryDirectory(prefix="bootslang-") as directory:
        configuration = Path(directory) / "mke2fs.conf"
        configuration.write_text(_CONFIGURATION, encoding="utf-8")
        link = Path(directory) / "disk"  # debugfs takes options after a question mark: keep the user's name out of it
        link.symlink_to(image.resolve())
        environment = {
            **os.environ,
            "LC_ALL": "C",
            "MKE2FS_CONFIG": str(configuration),
            "SOURCE_DATE_EPOCH": str(epoch),
            "E2FSPROGS_FAKE_TIME": str(epoch),  # mke2fs before 1.47.1 knows only this
        }
        options = f"offset={offset},hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        command = [find_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-m", "0", "-U", str(uuid), "-E", options]
        command += ["-N", str(max(len(tree.entries) + 1024, size // 16384)), "-d", str(tree.root)]
        made = _run([*command, str(link), f"{size // 1024}k"], environment)
        if made.returncode:
            raise _failed(made, tree, size)
        evened = _run(
            [find_tool("debugfs"), "-w", "-f", "-", f"{link}?offset={offset}"], environment, _even_out(tree, epoch)
        )
        complaints = [line for line in evened.stderr.splitlines() if not line.startswith("debugfs ")]
        if evened.returncode or complaints:
            raise ImageInvalid(f"debugfs failed on the root partition: {' '.join(complaints).strip()}")


def clock() -> int:
    """The time that is written where one is unavoidable: SOURCE_DATE_EPOCH, or the start of 1980 (FAT's first day)."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "315532800")
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, which is no number of seconds since 1970 below 2^32.")
    return int(text)


def _even_out(tree: Tree, epoch: int) -> str:
    """The debugfs commands that replace what differs from host to host and from run to run."""
    names = ["/", *(f"/{entry.as_posix()}" for entry in tree.entries)]
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    lines: list[str] = []
    for name in names:
        if "\n" in name:
            raise UsageError(f"The root tree has a name that debugfs cannot take: {name!r}.")
        quoted = name.replace('"', '""')
        status = (tree.root / name[1:]).lstat()
        modified = min(int(status.st_mtime), epoch) if "SOURCE_DATE_EPOCH" in os.environ else int(status.st_mtime)
        times = {"atime": modified, "mtime": modified, "ctime": modified, "crtime": epoch}
        if name == "/":
            times = dict.fromkeys(times, epoch)
        lines += [f'set_inode_field "{quoted}" {field} @{seconds:#x}' for field, seconds in times.items()]
        lines += [f'set_inode_field "{quoted}" {field}_extra 0' for field in times]
        if user and status.st_uid == user:
            lines += [f'set_inode_field "{quoted}" {field} 0' for field in ("uid", "gid")]
    return "\n".join([*lines, "quit", ""])


def find_tool(name: str) -> str:
    """The path of `mke2fs` or `debugfs`. Administrators' tools are often not on a user's PATH.

    Raises:
        ToolMissing: If it is not installed.

    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise ToolMissing(
            f"{name} is not installed, and a root partition needs it.",
            hint="Install e2fsprogs (Debian: apt install e2fsprogs; macOS: brew install e2fsprogs).",
        )
    return found


def _run(command: list[str], environment: dict[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own arguments, no shell
        command, env=environment, input=text, capture_output=True, text=True, errors="replace", check=False
    )


def _failed(made: subprocess.CompletedProcess[str], tree: Tree, size: int) -> BootslangError:
    complaint = " ".join(made.stderr.split())
    if "No space left" in complaint:
        return NoRoom(f"mke2fs failed: {complaint}", hint="Make room on the host's disk, and try again.")
    if "Could not allocate" in complaint or "too small" in complaint:
        return TreeTooLarge(
            f"The tree {tree.root} does not fit a root partition of {size} bytes ({complaint}): "
            f"about {max(tree.least_bytes - size, _MIB)} bytes more are needed.",
            hint="Give a larger --size.",
        )
    return ImageInvalid(f"mke2fs failed: {complaint}")

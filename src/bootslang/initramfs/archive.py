"""Make an initramfs: a newc cpio archive, device nodes included, without root and without cpio.

    archive = Initramfs()
    archive.add_tree("rootfs")
    archive.add_device("dev/console", "c", 5, 1)
    archive.write("initrd.gz")

The same contents give the same bytes, wherever and whenever: everything belongs to root, time stamps are 0, and entries
stand in the order of their paths. Documentation/driver-api/early-userspace/buffer-format.rst in Linux's sources is the
format; several such archives one behind the other make one file system, in which the later ones win.
"""

import gzip
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, Literal

from bootslang.errors import InitramfsInvalid

PATH_BYTES_MAX = 4095
"""Linux's PATH_MAX less the NUL; it skips longer names and link targets without a word."""
FILE_BYTES_MAX = (1 << 32) - 1
"""The size's field has eight hexadecimal digits."""

_COPY_BYTES = 0x10_0000
_TRAILER = b"TRAILER!!!"
_COMPRESSION_LEVEL = 6

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class _Entry:
    """One name in the archive. `mode` has the kind of file, as `stat` has it."""

    mode: int
    content: bytes | Path = b""
    """A file's bytes or where they are; a symbolic link's target."""
    size: int = 0
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""
    identity: tuple[int, int] | None = None
    """Of a file with several names: what they have in common."""


class Initramfs:
    """An archive to be. Directories above an entry come by themselves, with mode 0755.

    Paths are those that the machine will see; whether they begin with a slash makes no difference. Every method raises
    `InitramfsInvalid` for what cannot be in an initramfs.
    """

    def __init__(self) -> None:
        self._entries: dict[PurePosixPath, _Entry] = {}

    @property
    def paths(self) -> list[str]:
        """All names in the archive, in their order."""
        return [str(path) for path in sorted(self._entries)]

    @property
    def has_init(self) -> bool:
        """Whether there is an `/init`: without one, Linux takes the archive's files but mounts `root=` over them."""
        return PurePosixPath("init") in self._entries

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        """Add an empty directory, or change the mode of one that is there."""
        self._add(path, _Entry(stat.S_IFDIR | mode & 0o7777))

    def add_file(self, path: str, content: bytes | StrPath, mode: int = 0o644) -> None:
        """Add a file: its bytes, or the path of the file that has them. That is read when the archive is written."""
        if isinstance(content, bytes):
            self._add(path, _Entry(stat.S_IFREG | mode & 0o7777, content, len(content)))
            return
        source = Path(content)
        status = _status(source)
        if not stat.S_ISREG(status.st_mode):
            raise InitramfsInvalid(f"{source} is no regular file.", hint="Give the path of a file.")
        self._add(path, _Entry(stat.S_IFREG | mode & 0o7777, source, status.st_size))

    def add_symlink(self, path: str, target: str) -> None:
        """Add a symbolic link. Its target is stored as it stands."""
        self._add(path, _link(path, target))

    def add_device(self, path: str, kind: Literal["c", "b"], major: int, minor: int, mode: int = 0o600) -> None:
        """Add a device node: a character device (`c`) or a block device (`b`)."""
        for number, name in ((major, "major"), (minor, "minor")):
            if not 0 <= number < 1 << 32:
                raise InitramfsInvalid(f"The device /{path.strip('/')} has {number} as its {name} number.")
        file_type = stat.S_IFCHR if kind == "c" else stat.S_IFBLK
        self._add(path, _Entry(file_type | mode & 0o7777, device=(major, minor)))

    def add_tree(self, directory: StrPath) -> None:
        """Add all that is in a directory of this host, with its modes; symbolic links stay links."""
        top = Path(directory)
        if not stat.S_ISDIR(_status(top).st_mode):
            raise InitramfsInvalid(
                f"{top} is no directory.", hint="Give the directory that becomes the machine's root."
            )
        for source in _walk(top):
            self._add(os.fsdecode(source.relative_to(top)), _entry_of(source))

    def add_console(self) -> None:
        """Add /dev/console and /dev/null where they are missing: Linux opens the console before it starts `init`."""
        for path, numbers in (("dev/console", (5, 1)), ("dev/null", (1, 3))):
            if PurePosixPath(path) not in self._entries:
                self.add_device(path, "c", *numbers, mode=0o600 if path == "dev/console" else 0o666)

    def write(self, output: StrPath, *, compress: bool = True) -> int:
        """Write the archive to `output`, with gzip around it unless told otherwise; return the file's size in bytes.

        The file appears at once and whole, or not at all.
        """
        target = Path(os.path.realpath(output))
        self._check_output(Path(output), target)
        try:
            with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
                temporary = Path(file.name)
                try:
                    self._write_to(file, compress=compress)
                    file.flush()
                    # A temporary file is nobody else's to read, and an initramfs is like any other file.
                    temporary.chmod(0o666 & ~_umask())
                    temporary.replace(target)
                except BaseException:
                    with suppress(OSError):
                        temporary.unlink()
                    raise
            return target.stat().st_size
        except OSError as error:
            raise InitramfsInvalid(
                f"{output} cannot be written: {error.strerror}.", hint="Check the path, its permissions and free space."
            ) from None

    def to_bytes(self, *, compress: bool = True) -> bytes:
        """Return what `write` writes."""
        from io import BytesIO

        buffer = BytesIO()
        self._write_to(buffer, compress=compress)
        return buffer.getvalue()

    def _add(self, path: str, entry: _Entry) -> None:
        place = _place(path)
        if entry.size > FILE_BYTES_MAX:
            raise InitramfsInvalid(
                f"/{place} has {entry.size:,} bytes, and a file in an initramfs {FILE_BYTES_MAX:,} at most.",
                hint="Put it on a partition.",
            )
        for parent in list(place.parents)[-2::-1]:
            above = self._entries.setdefault(parent, _Entry(stat.S_IFDIR | 0o755))
            if not stat.S_ISDIR(above.mode):
                raise InitramfsInvalid(
                    f"/{place} cannot be in the initramfs: /{parent} is there, and no directory.",
                    hint="Give one of them another name.",
                )
        before = self._entries.get(place)
        if before is not None and not (stat.S_ISDIR(before.mode) and stat.S_ISDIR(entry.mode)):
            raise InitramfsInvalid(f"/{place} is in the initramfs already.", hint="Give one of them another name.")
        self._entries[place] = entry

    def _check_output(self, output: Path, target: Path) -> None:
        if target.exists() and not target.is_file():
            raise InitramfsInvalid(
                f"{output} cannot be written: it is {'a directory' if target.is_dir() else 'no regular file'}.",
                hint="Give the path of a file.",
            )
        for path, entry in self._entries.items():
            if isinstance(entry.content, Path) and Path(os.path.realpath(entry.content)) == target:
                raise InitramfsInvalid(
                    f"{output} cannot be written: it is itself in the initramfs, as /{path}.",
                    hint="Write the archive outside of the directory that it is made from.",
                )

    def _write_to(self, file: IO[bytes], *, compress: bool) -> None:
        if not compress:
            self._write_archive(file)
            return
        # Without a name and with time 0, the header says nothing of when and where it was made.
        with gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as packed:
            self._write_archive(packed)

    def _write_archive(self, file: IO[bytes] | gzip.GzipFile) -> None:
        numbers: dict[tuple[int, int], int] = {}
        names_left: dict[tuple[int, int], int] = {}
        for entry in self._entries.values():
            if entry.identity:
                names_left[entry.identity] = names_left.get(entry.identity, 0) + 1
        links = dict(names_left)
        for number, path in enumerate(sorted(self._entries), start=1):
            entry = self._entries[path]
            shared = entry.identity
            link_count = 2 if stat.S_ISDIR(entry.mode) else 1
            if shared:
                # The contents of a file with several names stand at the last of them, as GNU cpio does it.
                link_count = links[shared]
                number = numbers.setdefault(shared, number)  # noqa: PLW2901 - the names have one number
                names_left[shared] -= 1
                if names_left[shared]:
                    entry = replace(entry, content=b"", size=0)
            file.write(_header(os.fsencode(path), entry, number, link_count))
            _copy(path, entry, file)
        file.write(_header(_TRAILER, _Entry(0), 0, 1))


def directory_initramfs(directory: StrPath) -> Initramfs:
    """Return an archive of a directory of this host, with /dev/console and /dev/null where it lacks them."""
    archive = Initramfs()
    archive.add_tree(directory)
    archive.add_console()
    return archive


def _place(path: str) -> PurePosixPath:
    """Return a path without its first slash, or say why no machine can have it."""
    place = PurePosixPath(path.lstrip("/"))
    if ".." in place.parts:
        raise InitramfsInvalid(f"The path {path!r} leads out of the initramfs.", hint="Take the `..` out of it.")
    if not place.parts or "\0" in path:
        raise InitramfsInvalid(f"The path {path!r} names nothing in an initramfs.")
    if len(os.fsencode(place)) > PATH_BYTES_MAX:
        raise InitramfsInvalid(
            f"The path of {len(os.fsencode(place)):,} bytes that begins with /{str(place)[:40]} is too long:"
            f" Linux takes {PATH_BYTES_MAX:,}."
        )
    if os.fsencode(place) == _TRAILER:
        raise InitramfsInvalid(f"A file at the top cannot be called {place}: that name ends the archive.")
    return place


def _link(path: str, target: str) -> _Entry:
    content = os.fsencode(target)
    if not 0 < len(content) <= PATH_BYTES_MAX or 0 in content:
        raise InitramfsInvalid(
            f"The symbolic link {path} has a target of {len(content):,} bytes, and Linux takes 1 to {PATH_BYTES_MAX:,},"
            " without a NUL."
        )
    return _Entry(stat.S_IFLNK | 0o777, content, len(content))


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InitramfsInvalid(f"{path} cannot be read: {reason}.", hint="Check the path.") from None


def _walk(top: Path) -> Iterator[Path]:
    try:
        children = sorted(top.iterdir())
    except OSError as error:
        raise InitramfsInvalid(
            f"{top} cannot be read: {error.strerror}.", hint="Check its permissions, or leave it out."
        ) from None
    for child in children:
        yield child
        if child.is_dir() and not child.is_symlink():
            yield from _walk(child)


def _entry_of(source: Path) -> _Entry:
    """Look at something in a tree."""
    status = source.lstat()
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        return _link(str(source), str(source.readlink()))
    if kind == stat.S_IFREG:
        identity = (status.st_dev, status.st_ino) if status.st_nlink > 1 else None
        return _Entry(status.st_mode, source, status.st_size, identity=identity)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return _Entry(status.st_mode, device=(os.major(status.st_rdev), os.minor(status.st_rdev)))
    if kind in (stat.S_IFDIR, stat.S_IFIFO):
        return _Entry(status.st_mode)
    raise InitramfsInvalid(
        f"{source} cannot be in an initramfs: it is {'a socket' if kind == stat.S_IFSOCK else 'no kind of file'}.",
        hint="Take it out of the directory.",
    )


def _header(name: bytes, entry: _Entry, number: int, link_count: int) -> bytes:
    """Return an entry's header and name, padded: what follows lies on a multiple of four."""
    fields = (
        number,
        entry.mode,
        0,  # owner
        0,  # group
        link_count,
        0,  # time
        entry.size,
        0,  # the device that it was on
        0,
        *entry.device,
        len(name) + 1,
        0,  # no sum in this format
    )
    return _padded(b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0")


def _copy(path: PurePosixPath, entry: _Entry, file: IO[bytes] | gzip.GzipFile) -> None:
    """Write an entry's contents, padded."""
    if isinstance(entry.content, bytes):
        file.write(_padded(entry.content))
        return
    left = entry.size
    try:
        source = entry.content.open("rb")
    except OSError as error:
        raise InitramfsInvalid(
            f"{entry.content} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from None
    with source:
        while left:
            part = source.read(min(left, _COPY_BYTES))
            if not part:
                raise InitramfsInvalid(
                    f"{entry.content} lost its last {left:,} bytes while it was copied to /{path}.",
                    hint="Try again when nobody writes to it.",
                )
            file.write(part)
            left -= len(part)
    file.write(bytes(-entry.size % 4))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _umask() -> int:
    """Return the process's mask for new files; it can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

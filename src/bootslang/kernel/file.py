"""Random access to a file of any size that nobody vouches for; the kernel readers see files through this alone.

Nothing is read but what is asked for: a `vmlinux` with debug sections has hundreds of megabytes that do not boot.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bootslang.errors import KernelInvalid

DAMAGED = "The file is damaged or unfinished: compare it with where it came from, or build it again."
CUT_OFF = "The file is cut off: copy or download it again."

_NO_FILE = {
    stat.S_IFDIR: "a directory",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True)
class FileBytes:
    """`size` bytes, of a file at `path` or in memory; `name` is what the user calls them."""

    name: str
    size: int
    path: Path | None = None
    data: bytes | memoryview = b""

    @classmethod
    def of(cls, source: str | Path | bytes | bytearray | memoryview, *, name: str = "the kernel") -> Self:
        """Look at a file, or at bytes that are in memory already; only the latter need a name."""
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(name, len(source), data=memoryview(source).cast("B"))
        path = Path(source)
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            raise _unreadable(str(source), error) from None
        if not stat.S_ISREG(status.st_mode):
            kind = _NO_FILE.get(stat.S_IFMT(status.st_mode), "no file")
            raise KernelInvalid(f"{source} is no kernel: it is {kind}.", hint="Give the path of a kernel file.")
        return cls(str(source), status.st_size, path=path)

    def fault(self, why: str, hint: str = DAMAGED) -> KernelInvalid:
        """Return the error that says why these bytes cannot be booted."""
        return KernelInvalid(f"{self.name} cannot be booted: {why}.", hint=hint)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on, all of them; it is an error if the file has fewer."""
        found = self.peek(offset, length)
        if len(found) < length:
            raise KernelInvalid(
                f"{self.name} ends at {offset + len(found):#x}, inside the {length:#x} bytes at {offset:#x}.",
                hint="The file is cut off, or was changed while it was read.",
            )
        return found

    def peek(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on, fewer where the file ends."""
        if self.path is None:
            return bytes(self.data[offset : offset + length])
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise _unreadable(self.name, error) from None


def _unreadable(name: str, error: Exception) -> KernelInvalid:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return KernelInvalid(f"{name} cannot be read: {reason}.", hint="Check the path and its permissions.")

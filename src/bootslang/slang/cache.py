"""A cache of what is slow to compute, in the user's cache directory, addressed by content.

The front end asks for an object by everything that decides its bytes, and computes it only when it is not there.
Several processes may share it. It never makes anything fail: an entry that is damaged counts as absent, and a directory
that cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIRECTORY_VARIABLE: Final = "BOOTSLANG_CACHE"
MOST_BYTES: Final = 256 << 20
"""Some thousand versions of all boot code; the oldest go first."""
EVICTION_INTERVAL: Final = 64
"""Looking at every file takes longer than writing one: it is done once in so many writes."""
DIGEST_BYTES: Final = 32
MAGIC: Final = b"slang cache 1\n"


def default_directory() -> Path:
    """Where this user's programs keep what can be computed again: by the rules of the operating system."""
    if chosen := os.environ.get(DIRECTORY_VARIABLE):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:  # a user whom the system does not know, as in containers
        home = Path(os.devnull)  # nothing can be written below it
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA")
        return (Path(root) if root else home / "AppData" / "Local") / "bootslang" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "bootslang"
    root = os.environ.get("XDG_CACHE_HOME")
    # The XDG base directory specification: a relative path is to be ignored.
    return (Path(root) if root and Path(root).is_absolute() else home / ".cache") / "bootslang"


def key(*parts: str | bytes) -> str:
    """The name of what `parts` decide, in their order. Where one part ends and the next begins matters."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class Cache:
    """A directory of entries. An entry is a magic line, the SHA-256 of its content, and the content.

    Example:
        >>> cache = Cache()
        >>> code = cache.get_or_compute(key(fingerprint("long64"), ir), lambda: backend.compile(ir, target="long64"))

    """

    def __init__(self, directory: Path | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self.directory = directory or default_directory()
        self.most_bytes = most_bytes
        self._writes = 0

    def get_or_compute(self, name: str, compute: Callable[[], bytes]) -> bytes:
        """The entry called `name`, or what `compute` returns, which is kept. What it raises is passed on."""
        found = self.get(name)
        if found is None:
            found = compute()
            self.put(name, found)
        return found

    def get(self, name: str) -> bytes | None:
        """The entry called `name`, or None if there is none that is whole."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        start = len(MAGIC) + DIGEST_BYTES
        data = content[start:]
        if content[:start] != MAGIC + hashlib.sha256(data).digest():
            return None
        with suppress(OSError):
            os.utime(path)  # what is used is not the oldest
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep `data` as the entry called `name`. Nobody ever sees half of it."""
        path = self._path(name)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(MAGIC + hashlib.sha256(data).digest() + data)
                Path(beside).replace(path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise
        if self._writes % EVICTION_INTERVAL == 0:
            self.evict()
        self._writes += 1

    def evict(self) -> None:
        """Delete the entries that were not used for longest, until the rest is small enough."""
        entries = sorted(self._entries(), reverse=True)
        total = 0
        for _, size, path in entries:
            total += size
            if total > self.most_bytes:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """Time of last use in nanoseconds, size and path of every file."""
        with suppress(OSError):
            for path in self.directory.glob("objects/*/*"):
                with suppress(OSError):  # another process may just have deleted it
                    state = path.stat()
                    yield state.st_mtime_ns, state.st_size, path

    def _path(self, name: str) -> Path:
        """Where an entry lies: in one of 256 directories, since some file systems are slow with large ones."""
        return self.directory / "objects" / name[:2] / name[2:]

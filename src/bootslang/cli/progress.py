"""A progress bar for what takes over a second; only on a terminal, and on stderr, so that no log is hidden by it."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS: Final = 1.0
"""What is done sooner shows no bar."""
WORDS: Final = {"pack": "packing", "write": "writing"}


class Bar:
    """A bar that may never be seen: `with Bar() as bar: image.build(path, bar.update)`."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.stop()

    def update(self, what: str, done_bytes: int, total_bytes: int) -> None:
        """Something got on; `bootslang.image.Progress` tells what these are."""
        if self._shown is None:
            if not sys.stderr.isatty() or time.monotonic() - self._began < PATIENCE_SECONDS:
                return
            self._shown = self._show()
        if what not in self._tasks:
            self._tasks[what] = self._shown.add_task(WORDS.get(what, what), total=total_bytes)
        self._shown.update(self._tasks[what], completed=done_bytes)

    def _show(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        shown.start()
        return shown

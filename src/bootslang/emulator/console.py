"""What a machine prints: a growing text that can be waited on from any thread.

`session.py` feeds it; users read it through `Guest.console`. A line that matches one of the alarms (a kernel's panic,
an oops) is remembered: it is how a dead guest is told from a slow one.
"""

import codecs
import re
import threading
from collections.abc import Callable, Iterable
from typing import Final

PANIC_PATTERNS: Final = (
    r"Kernel panic - not syncing",
    r"not syncing:",
    r"\bOops: [0-9a-f]{4}",
    r"BUG: unable to handle",
    r"general protection fault[:,]",
    r"kernel BUG at ",
    r"Unable to mount root fs",
)
"""What Linux prints when it is past help; each is searched for in single lines."""

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_FRAGMENT_BYTES_MAX: Final = 4096
"""A line without an end is searched for alarms this far back."""


class Console:
    """The text that came out of one serial port (or port 0xE9) so far."""

    def __init__(self, *, alarms: Iterable[str] = (), tap: Callable[[bytes], None] | None = None) -> None:
        self.changed = threading.Condition(threading.RLock())
        """Notified at every change: more text, an alarm, the end."""
        self._alarms = re.compile("|".join(f"(?:{alarm})" for alarm in alarms) or r"(?!)")
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tap = tap
        self._text = ""
        self._searched = 0
        self._closed = False
        self._alarm = ""

    @property
    def text(self) -> str:
        """All text so far, as it came: with carriage returns and escape sequences."""
        with self.changed:
            return self._text

    @property
    def lines(self) -> list[str]:
        """The lines so far as a terminal would leave them: escape sequences gone, the last rewriting of a line kept."""
        plain = _ESCAPES.sub("", self.text).replace("\r\n", "\n")
        return [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in plain.split("\n")]

    @property
    def alarm(self) -> str:
        """The line that tells of a guest's death, or nothing."""
        with self.changed:
            return self._alarm

    @property
    def closed(self) -> bool:
        """Nothing more will come."""
        with self.changed:
            return self._closed

    def last_lines(self, count: int = 20) -> list[str]:
        """The last `count` lines that are not empty."""
        return [line for line in self.lines if line][-count:]

    def search(self, pattern: str | re.Pattern[str], start: int = 0) -> re.Match[str] | None:
        """The first match from offset `start` of the text; a string is looked for as it stands."""
        compiled = re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
        return compiled.search(self.text, start)

    def feed(self, data: bytes) -> None:
        """More bytes came."""
        if self._tap is not None:
            self._tap(data)
        with self.changed:
            self._text += self._decoder.decode(data)
            self._look_for_alarms()
            self.changed.notify_all()

    def close(self) -> None:
        """The machine is gone."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def _look_for_alarms(self) -> None:
        found = self._alarms.search(self._text, self._searched) if not self._alarm else None
        if found:
            start = self._text.rfind("\n", 0, found.start()) + 1
            end = self._text.find("\n", found.end())
            if end < 0:
                return  # The line is still coming; it says more than its first words.
            self._alarm = _ESCAPES.sub("", self._text[start:end]).strip()
        last_line = self._text.rfind("\n") + 1
        self._searched = max(last_line, len(self._text) - _FRAGMENT_BYTES_MAX)

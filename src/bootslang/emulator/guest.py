"""A running machine: its console, its keyboard, its monitor, and how it ended.

`Machine.start` makes one. It is a context manager; leaving it ends the machine.
"""

import re
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from bootslang.emulator.command import CommandLine
from bootslang.emulator.console import Console
from bootslang.emulator.outcome import Ending, Outcome
from bootslang.emulator.session import Session
from bootslang.errors import GuestCrashed, GuestTimeout

Pattern = str | re.Pattern[str]
"""A string is looked for as it stands; a compiled pattern is searched for."""

_SETTLE_SECONDS: Final = 1.0
"""After a panic's first line: how long its other lines may take to come."""


class Guest:
    r"""A machine that runs.

    >>> with Machine("disk.img").start() as guest:      # doctest: +SKIP
    ...     guest.expect("login: ", timeout=60)
    ...     guest.send("root\n")
    """

    def __init__(self, command: CommandLine, console: Console, debugcon: Console | None, *, paused: bool) -> None:
        self.console = console
        """What comes out of the first serial port."""
        self.debugcon = debugcon
        """What comes out of port 0xE9, if the machine has it."""
        self.gdb_port = command.gdb
        """Where gdb can attach, if the machine has a stub."""
        self._session = Session(command, console, debugcon, paused=paused)
        self._cursor = 0
        self._started_at = time.monotonic()
        self._session.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """It has not ended yet."""
        return self._session.ending is None

    @property
    def registers(self) -> str:
        """The CPU's registers at a reset or triple fault, as QEMU's monitor prints them."""
        return self._session.registers

    @property
    def process_id(self) -> int:
        """QEMU's, on the host."""
        return self._session.process_id

    def send(self, text: str) -> None:
        r"""Type on the serial console; a line ends with `\n`."""
        self._session.send(text.encode())

    def send_bytes(self, data: bytes) -> None:
        """Type what is no text: keys as a terminal sends them."""
        self._session.send(data)

    def execute(self, command: str, **arguments: object) -> object:
        """Send a command to QEMU's monitor: `guest.execute("query-status")`."""
        return self._session.execute(command, {name.replace("_", "-"): value for name, value in arguments.items()})

    def expect(self, pattern: Pattern, *, timeout: float = 60.0) -> re.Match[str]:
        """Wait until the console has shown `pattern` after what was expected last, for `timeout` seconds.

        GuestTimeout if it does not come in time, GuestCrashed if the machine panics or ends before; both carry the last
        lines.
        """
        deadline = time.monotonic() + timeout
        with self.console.changed:
            while True:
                if found := self.console.search(pattern, self._cursor):
                    self._cursor = found.end()
                    return found
                if self.console.alarm or self.console.closed:
                    break
                if not self.console.changed.wait(max(0.0, deadline - time.monotonic())) and (
                    time.monotonic() >= deadline
                ):
                    break
        wanted = pattern if isinstance(pattern, str) else pattern.pattern
        outcome = self._outcome(wanted)
        if outcome.ending is Ending.TIMED_OUT:
            raise GuestTimeout(f"{wanted!r} did not come within {timeout:g} seconds", hint=outcome.tail())
        raise GuestCrashed(outcome.describe(), hint=outcome.tail())

    def ask(self, command: str, *, prompt: Pattern = "# ", timeout: float = 60.0) -> str:
        """Type a line at a shell and return what it prints until its next prompt, without the echo of the line.

        The shell's first prompt has to be `expect`ed before. Fails as `expect` does.
        """
        start = self._cursor
        self.send(f"{command}\n")
        found = self.expect(prompt, timeout=timeout)
        _echo, _, answer = found.string[start : found.start()].replace("\r\n", "\n").partition("\n")
        return answer

    def watch(
        self,
        *,
        expect: Pattern | None = None,
        timeout: float | None = 120.0,
        script: Sequence[tuple[Pattern, str]] = (),
    ) -> Outcome:
        """Wait until the run is decided: `expect` was printed, or the machine ended, panicked, or took too long.

        `script` is typed on the way: when each step's pattern has been printed, its text is sent. `expect` is looked
        for after the last step.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        steps = list(script)
        found: re.Match[str] | None = None
        with self.console.changed:
            while True:
                while steps and (met := self.console.search(steps[0][0], self._cursor)):
                    self._cursor = met.end()
                    self.send(steps.pop(0)[1])
                if expect is not None and not steps:
                    found = self.console.search(expect, self._cursor)
                left = None if deadline is None else deadline - time.monotonic()
                if found or self.console.alarm or self.console.closed or (left is not None and left <= 0):
                    break
                self.console.changed.wait(left)
        wanted = "" if expect is None else expect if isinstance(expect, str) else expect.pattern
        return self._outcome(wanted, found)

    def stop(self, *, kill: bool = False) -> None:
        """End the machine if it still runs; `kill` as if the power were cut, else its disks' caches are written."""
        self._session.stop(kill=kill)

    def _outcome(self, wanted: str, found: re.Match[str] | None = None) -> Outcome:
        ended_at = self._session.ended_at or time.monotonic()
        if found:
            ending, detail = Ending.EXPECTED, found[0]
        elif self.console.alarm:
            self._settle()
            ending, detail = Ending.PANICKED, self.console.alarm
        elif self._session.ending is not None:
            ending, detail = self._session.ending, self._session.detail
        else:
            ending, detail = Ending.TIMED_OUT, f"after {ended_at - self._started_at:.0f} seconds"
        return Outcome(
            ending=ending,
            detail=detail,
            guest_code=self._session.guest_code,
            wanted=wanted,
            seconds=ended_at - self._started_at,
            console=self.console.text,
            last_lines=tuple(self.console.last_lines()),
        )

    def _settle(self) -> None:
        """Let the rest of a panic's report come in."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        with self.console.changed:
            while not self.console.closed and (left := deadline - time.monotonic()) > 0:
                self.console.changed.wait(left)

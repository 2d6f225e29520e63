"""How a run of a machine ended, and what that means: success, a guest's failure, a crash, a time out."""

import enum
from dataclasses import dataclass
from typing import Final

from bootslang.errors import BootslangError, CheckFailed, GuestCrashed, GuestTimeout

PASS: Final = 0x10
"""What a guest writes to port 0xF4 to say that all is well. Any other value says that it failed. (Never 0: QEMU's own
exit status would then look like that of a machine that did not start.)"""


class Ending(enum.Enum):
    """What ended a run."""

    EXPECTED = "the expected text was printed"
    EXITED = "the guest ended the machine through port 0xF4"
    POWERED_OFF = "the guest powered the machine off"
    STOPPED = "the machine was stopped from outside"
    TIMED_OUT = "time ran out"
    PANICKED = "the guest panicked"
    TRIPLE_FAULT = "the CPU met a triple fault"
    RESET = "the guest reset the machine"
    DIED = "the emulator died"


_CRASHES: Final = {Ending.PANICKED, Ending.TRIPLE_FAULT, Ending.RESET, Ending.DIED}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    ending: Ending
    detail: str
    """The line that was found, the panic's first line, where the CPU was …"""
    guest_code: int | None
    """What the guest wrote to port 0xF4, if it did."""
    wanted: str
    """The text that was waited for, if any."""
    seconds: float
    """From the start of the machine, by the host's clock."""
    console: str
    """All that came out of the serial port."""
    last_lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """The text was found; or, where none was waited for, the guest said PASS, powered off, or was stopped."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """The command's exit code: 0 well, 1 the guest failed, 5 time ran out, 6 it crashed."""
        if self.ending is Ending.EXPECTED:
            return 0
        if self.ending is Ending.TIMED_OUT:
            return GuestTimeout.exit_code
        if self.ending in _CRASHES:
            return GuestCrashed.exit_code
        if self.wanted:
            return CheckFailed.exit_code
        return 0 if self.guest_code in {None, PASS} else CheckFailed.exit_code

    def describe(self) -> str:
        """One line: what happened."""
        text = self.ending.value
        if self.detail:
            text += f": {self.detail}"
        if self.wanted and self.ending is not Ending.EXPECTED:
            text += f" (before it had printed {self.wanted!r})"
        return text

    def check(self) -> "Outcome":
        """Itself if all is well, else the matching exception, with the last lines of the console.

        CheckFailed: the guest failed, or ended without the text; GuestTimeout; GuestCrashed.
        """
        if error := self.error():
            raise error
        return self

    def error(self, *, tail: bool = True) -> BootslangError | None:
        """What `check` raises, or None if all is well; `tail` adds the console's last lines."""
        kinds: dict[int, type[BootslangError]] = {1: CheckFailed, 5: GuestTimeout, 6: GuestCrashed}
        if self.ok:
            return None
        return kinds[self.exit_code](self.describe(), hint=self.tail() if tail else "")

    def tail(self) -> str:
        """The last lines of the console, as an appendix to a message."""
        if not self.last_lines:
            return "The console stayed empty."
        return "\n".join(["The last lines of the console:", *(f"    {line}" for line in self.last_lines)])

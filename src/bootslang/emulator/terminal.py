"""The user's terminal as a guest's serial console: keys go to the guest as they are, Ctrl-A X ends the machine.

Without a terminal (in CI, in a pipe) the guest's output is passed on all the same, and nothing is typed.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from bootslang.emulator.guest import Guest
from bootslang.emulator.machine import Machine
from bootslang.emulator.outcome import Outcome

ESCAPE: Final = b"\x01"
"""Ctrl-A, as in QEMU: before x it ends the machine, before h it shows help, before Ctrl-A it is itself."""
HELP: Final = "\r\nCtrl-A X  end the machine\r\nCtrl-A H  this help\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n"
_POLL_SECONDS: Final = 0.1


class KeyReader:
    """Takes Ctrl-A's meanings out of what is typed."""

    def __init__(self) -> None:
        self._escaped = False

    def read(self, keys: bytes) -> tuple[bytes, str]:
        """What goes to the guest, and `quit`, `help` or nothing: what the user asks of us."""
        out = bytearray()
        for number in keys:
            key = bytes([number])
            if self._escaped:
                self._escaped = False
                if key in b"xX":
                    return bytes(out), "quit"
                if key in b"hH?":
                    return bytes(out), "help"
                if key == ESCAPE:
                    out += key
            elif key == ESCAPE:
                self._escaped = True
            else:
                out += key
        return bytes(out), ""


def has_terminal() -> bool:
    """Both the keyboard and the screen are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def write_console(data: bytes) -> None:
    """Pass on what a guest prints."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def interact(
    machine: Machine,
    *,
    expect: str | None = None,
    timeout: float | None = None,
    started: Callable[[Guest], None] = lambda _guest: None,
) -> Outcome:
    """Run a machine with its console on the terminal, until it ends, or is ended, or `expect` or `timeout` decides.

    `started` is called once it runs, or, where it has a stub for gdb, waits at its reset vector.
    """
    with machine.start(tap=write_console) as guest:
        started(guest)
        if not has_terminal():
            return guest.watch(expect=expect, timeout=timeout)
        with _raw_terminal():
            return _converse(guest, expect, timeout)


def _converse(guest: Guest, expect: str | None, timeout: float | None) -> Outcome:
    """Pass keys on in a thread's stead: by turns with looking whether the run is decided."""
    keys = KeyReader()
    deadline = None if timeout is None else time.monotonic() + timeout
    while not (guest.console.closed or guest.console.alarm or (expect and guest.console.search(expect))):
        if deadline is not None and time.monotonic() >= deadline:
            break
        if select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
            text, wish = keys.read(os.read(sys.stdin.fileno(), 4096))
            guest.send_bytes(text)
            if wish == "quit":
                guest.stop()
            elif wish == "help":
                write_console(HELP.encode())
    return guest.watch(expect=expect, timeout=0)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key comes at once and unchanged, Ctrl-C too; as before afterwards."""
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        sys.stdout.write("\r\n")
        sys.stdout.flush()

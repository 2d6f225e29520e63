"""Is the terminal the guest's, but for Ctrl-A, and is it left as it was found?"""

import os
import pty
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from bootslang.emulator.terminal import KeyReader
from support.boot_sectors import ECHO_A_KEY, HANG, POWER_OFF, boot_disk, say

INTERACT = """
import sys
from bootslang import Machine
from bootslang.emulator.terminal import interact
outcome = interact(Machine(sys.argv[1], accel="tcg", memory=32), timeout=60)
print("ended:", outcome.ending.name, outcome.exit_code)
"""


@pytest.mark.parametrize(
    ("typed", "sent", "wish"),
    [
        (b"ls\r\x03", b"ls\r\x03", ""),
        (b"a\x01xb", b"a", "quit"),
        (b"\x01X", b"", "quit"),
        (b"\x01h", b"", "help"),
        (b"\x01\x01", b"\x01", ""),
        (b"\x01qz", b"z", ""),
    ],
)
def test_ctrl_a_is_ours_and_all_else_the_guests(typed: bytes, sent: bytes, wish: str) -> None:
    assert KeyReader().read(typed) == (sent, wish)


def test_ctrl_a_counts_across_reads() -> None:
    keys = KeyReader()
    assert keys.read(b"a\x01") == (b"a", "")
    assert keys.read(b"x") == (b"", "quit")


def run_on_a_terminal(disk: Path, answers: dict[bytes, bytes]) -> tuple[bytes, bool]:
    """Run `interact` on a pseudo terminal, typing each answer when its cue is shown.

    Returns what was shown, and whether the terminal's settings were the same afterwards.
    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", INTERACT, str(disk)]
    shown = bytearray()

    def read() -> None:
        left = dict(answers)
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:
                return
            shown.extend(data)
            for cue in [cue for cue in left if cue in shown]:
                os.write(ours, left.pop(cue))

    reader = threading.Thread(target=read, daemon=True)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, env=environment) as process:
        reader.start()
        process.wait(timeout=90)
    unchanged = termios.tcgetattr(theirs) == before
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    return bytes(shown), unchanged


@pytest.mark.machine
def test_keys_reach_the_guest_and_its_end_is_told(tmp_path: Path) -> None:
    disk = boot_disk(tmp_path, say("key? ") + ECHO_A_KEY + say(" got it\r\n") + POWER_OFF)
    shown, unchanged = run_on_a_terminal(disk, {b"key? ": b"\x03"})
    assert b"key? \x03 got it" in shown
    assert b"ended: POWERED_OFF 0" in shown
    assert unchanged


@pytest.mark.machine
def test_ctrl_a_x_ends_the_machine(tmp_path: Path) -> None:
    shown, unchanged = run_on_a_terminal(boot_disk(tmp_path, say("stay\r\n") + HANG), {b"stay": b"\x01x"})
    assert b"ended: STOPPED 0" in shown
    assert unchanged


@pytest.mark.machine
def test_without_a_terminal_the_output_is_passed_on(tmp_path: Path) -> None:
    disk = boot_disk(tmp_path, say("hello\r\n") + POWER_OFF)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", INTERACT, str(disk)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        env=environment,
        timeout=90,
    )
    assert ran.stdout == b"hello\r\nended: POWERED_OFF 0\n"

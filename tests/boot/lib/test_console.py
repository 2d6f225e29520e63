"""Do the screen, COM1 and port 0xE9 show the same text, and is what is not there left in peace?"""

from __future__ import annotations

import pytest

from bootslang.boot.context import LOG_ALL, LOG_DEBUGCON, LOG_SCREEN, LOG_SERIAL
from bootslang.boot.lib import bios_data, console, progress, screen, serial
from bootslang.slang import text
from support.bios import FakeBios

COM1, LINE_STATUS, SCRATCH = 0x3F8, 0x3FD, 0x3FF
COM1_PORTS = range(0x3F8, 0x400)
CRTC = 0x3D4
COLUMNS, ROWS = 80, 25
SCREEN = 0xB8000


class Terminal(FakeBios):
    """A machine with an 80x25 screen, COM1 and the debug port, each of which can be missing."""

    def __init__(self, *, serial: bool = True, debug: bool = True, mode: int = 3) -> None:
        super().__init__()
        self.has_serial, self.has_debug = serial, debug
        self.serial, self.debug = bytearray(), bytearray()
        self.serial_ready = True
        self.status_reads = 0
        self.divisor_latch = False
        self.divisor = 0
        self.scratch = 0
        self.crtc_index = 0
        self.crtc: dict[int, int] = {}
        self.clock_index = 0
        self.second = 0x30
        for address, size, value in (
            (0x449, 1, mode),
            (0x44A, 2, COLUMNS),
            (0x463, 2, CRTC if mode != 7 else 0x3B4),
            (0x484, 1, ROWS - 1),
        ):
            self.write_memory(address, size, value)

    def read_port(self, port: int, size: int) -> int:
        """Answer as the devices that are there."""
        if port == 0xE9 and self.has_debug:
            return 0xE9
        if port == 0x71:
            return 0 if self.clock_index == 0x0A else self.second
        if self.has_serial and port == SCRATCH:
            return self.scratch
        if self.has_serial and port == LINE_STATUS:
            self.status_reads += 1
            return 0x60 if self.serial_ready else 0
        return super().read_port(port, size)

    def write_port(self, port: int, size: int, value: int) -> None:
        """Take what is sent."""
        super().write_port(port, size, value)
        if port == 0xE9:
            self.debug.append(value)
        elif port == COM1 and self.divisor_latch:
            self.divisor = value
        elif port == COM1:
            self.serial.append(value)
        elif port == COM1 + 3:
            self.divisor_latch = bool(value & 0x80)
        elif port == SCRATCH:
            self.scratch = value
        elif port in (CRTC, 0x3B4):
            self.crtc_index = value
        elif port in (CRTC + 1, 0x3B5):
            self.crtc[self.crtc_index] = value
        elif port == 0x70:
            self.clock_index = value

    def row(self, number: int, base: int = SCREEN) -> str:
        """A line of the screen, without what is blank at its end."""
        cells = (self.read_memory(base + 2 * (number * COLUMNS + column), 1) for column in range(COLUMNS))
        return "".join(chr(cell or 0x20) for cell in cells).rstrip()

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and row, as the BIOS's data area has them."""
        return self.read_memory(0x450, 1), self.read_memory(0x451, 1)


def started(terminal: Terminal, *, log: int = LOG_ALL) -> Terminal:
    with terminal:
        console.start(log, tell_all=False)
    return terminal


def write(terminal: Terminal, message: str) -> None:
    with terminal:
        console.write(text(message))


def test_the_same_text_everywhere() -> None:
    """Is a message the same on the screen, on COM1 and on port 0xE9, and the line set to 115200 baud?"""
    terminal = started(Terminal())
    write(terminal, "Bootslang\nsecond\n")
    assert terminal.row(0) == "Bootslang"
    assert terminal.row(1) == "second"
    assert terminal.cursor == (0, 2)
    assert terminal.serial == terminal.debug == b"Bootslang\r\nsecond\r\n"
    assert terminal.divisor == 1


def test_the_bios_cursor_is_taken_up_and_left_where_text_ends() -> None:
    """Does writing go on where the BIOS stood, and do its data area and the CRT controller follow?"""
    terminal = Terminal()
    terminal.write_memory(0x450, 2, 5 << 8 | 78)
    write(started(terminal), "abc")
    assert terminal.row(5) == " " * 78 + "ab"
    assert terminal.row(6) == "c"
    assert terminal.cursor == (1, 6)
    assert terminal.crtc[0x0E] << 8 | terminal.crtc[0x0F] == 6 * COLUMNS + 1


def test_the_screen_scrolls() -> None:
    """At the end of the screen, does every line move up by one?"""
    terminal = Terminal()
    write(started(terminal), "".join(f"line {number}\n" for number in range(ROWS + 1)))
    assert [terminal.row(number) for number in range(ROWS)] == [f"line {number}" for number in range(2, ROWS + 1)] + [
        ""
    ]
    assert terminal.cursor == (0, ROWS - 1)


def test_a_cursor_outside_the_screen_is_brought_back() -> None:
    """Does a nonsensical cursor of the BIOS not write outside the screen's memory?"""
    terminal = Terminal()
    terminal.write_memory(0x450, 2, 0xFFFF)
    write(started(terminal), "x")
    assert all(address < 0x500 or SCREEN <= address < SCREEN + COLUMNS * ROWS * 2 for address in terminal.memory)


def test_low_memory_may_be_seen_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once only the direct map shows low memory, does the text go to the screen there?"""
    terminal = started(Terminal())
    elsewhere = 0xFFFF_8000_0000_0000
    for address in range(0x400, 0x500):
        terminal.write_memory(elsewhere + address, 1, terminal.read_memory(address, 1))
    monkeypatch.setattr(bios_data, "low_memory_base", elsewhere)
    before = {address: value for address, value in terminal.memory.items() if address < elsewhere}
    write(terminal, "x")
    assert terminal.row(0, elsewhere + SCREEN) == "x"
    assert before == {address: value for address, value in terminal.memory.items() if address < elsewhere}


def test_monochrome() -> None:
    """Is the screen of mode 7 at 0xB0000?"""
    terminal = started(Terminal(mode=7))
    write(terminal, "mono")
    assert terminal.row(0, 0xB0000) == "mono"


@pytest.mark.parametrize("mode", [0x13, 0x12, 0xFF])
def test_graphics_are_left_alone(mode: int) -> None:
    """In a graphics mode, is the screen's memory not touched, and the text on COM1 all the same?"""
    terminal = started(Terminal(mode=mode))
    before = dict(terminal.memory)
    write(terminal, "x\n")
    assert terminal.memory == before
    assert terminal.serial == b"x\r\n"


def test_a_framebuffer_ends_the_text_screen() -> None:
    """Once a framebuffer mode is set, is nothing more written to the screen?"""
    terminal = started(Terminal())
    with terminal:
        screen.stop()
    before = dict(terminal.memory)
    write(terminal, "x")
    assert terminal.memory == before


@pytest.mark.parametrize("log", range(LOG_ALL + 1))
def test_only_what_may_be_written_to_is_touched(log: int) -> None:
    """Do the log's bits choose, and is a device that they leave out not even looked for?"""
    terminal = Terminal()
    before = dict(terminal.memory)
    write(started(terminal, log=log), "x")
    assert bytes(terminal.serial) == (b"x" if log & LOG_SERIAL else b"")
    assert bytes(terminal.debug) == (b"x" if log & LOG_DEBUGCON else b"")
    assert (terminal.memory != before) == (log & LOG_SCREEN != 0)
    touched = (set(COM1_PORTS) if log & LOG_SERIAL else set()) | ({0xE9} if log & LOG_DEBUGCON else set())
    touched |= {CRTC, CRTC + 1} if log & LOG_SCREEN else set()
    assert terminal.ports_touched <= touched


def test_a_second_start_ends_what_the_first_one_has_begun() -> None:
    """A door writes everywhere until it has read its options: is it silent where they ask for that?"""
    terminal = started(started(Terminal()), log=0)
    before = dict(terminal.memory)
    terminal.ports_touched.clear()
    write(terminal, "x")
    assert (terminal.memory, terminal.ports_touched) == (before, set())


def test_a_machine_without_com1_and_debug_port() -> None:
    """Are absent devices noticed, and nothing sent to them?"""
    terminal = started(Terminal(serial=False, debug=False))
    terminal.ports_touched.clear()
    write(terminal, "x")
    assert terminal.ports_touched <= {CRTC, CRTC + 1}
    assert terminal.row(0) == "x"


def test_a_port_that_never_gets_ready_is_given_up_once() -> None:
    """Does a stuck COM1 cost one bounded wait, not one for each byte?"""
    terminal = started(Terminal())
    terminal.serial_ready = False
    terminal.status_reads = 0
    write(terminal, "x" * 10)
    assert terminal.status_reads <= serial.WAIT_READS
    assert terminal.row(0) == "x" * 10


def advance(terminal: Terminal, steps: int, size: int) -> None:
    with terminal:
        for _ in range(steps):
            progress.advance(size)


def test_no_bar_for_what_is_quick() -> None:
    """Does what takes less than a second show nothing?"""
    terminal = started(Terminal())
    with terminal:
        progress.start(1000)
    advance(terminal, 5, 100)
    terminal.second = 0x31
    advance(terminal, 5, 100)
    with terminal:
        progress.finish()
    assert terminal.serial == b""


def test_a_bar_for_what_is_slow() -> None:
    """After the clock's second tick, does a bar show how far it is, and end with its line?"""
    terminal = started(Terminal())
    with terminal:
        progress.start(1000)
    for second in (0x31, 0x32):
        terminal.second = second
        advance(terminal, 1, 250)
    assert terminal.serial == b"[" + b"." * 50 + b"]\r[" + b"#" * 23
    advance(terminal, 1, 500)
    with terminal:
        progress.finish()
    assert terminal.serial == b"[" + b"." * 50 + b"]\r[" + b"#" * 50 + b"\r\n"
    assert terminal.row(0) == "[" + "#" * 50 + "]"


def test_a_message_starts_its_own_line_below_the_bar() -> None:
    """Does an error in the midst of the bar not stand in its line?"""
    terminal = started(Terminal())
    with terminal:
        progress.start(1000)
    for second in (0x31, 0x32):
        terminal.second = second
        advance(terminal, 1, 10)
    write(terminal, "damaged\n")
    assert terminal.row(1) == "damaged"

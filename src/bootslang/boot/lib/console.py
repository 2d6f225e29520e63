"""The console of stages 2 to 4: what is printed goes to the text screen, to COM1 and to port 0xE9, all the same.

Every stage and every door calls `start` first of all. `print`, `raise BootError` and failed checks end in `write` and
`stop` here: they fill the hooks of slang's run time. Flat 32- or 64-bit mode; no BIOS call is made.
"""

from typing import Final, NoReturn

from bootslang.boot.context import LOG_DEBUGCON, LOG_SCREEN, LOG_SERIAL
from bootslang.boot.lib import screen, serial
from bootslang.slang import compile_for, fn, halt, inb, outb, span, text, u8, u32

compile_for("protected32", "long64")

DEBUG_PORT: Final = 0xE9
"""Of Bochs and QEMU; it reads back its own number where it is there."""
LINE_FEED: Final = 0x0A
CARRIAGE_RETURN: Final = 0x0D

debug_port_present: bool = False
verbose: bool = False
bar_open: bool = False
"""A progress bar stands in the last line: the next message starts a new one."""


@fn
def start(log: u32, tell_all: bool) -> None:
    """Find what there is to write to, and write to nothing else from now on.

    log: LOG_ bits, what may be written to; LOG_SCREEN says that a BIOS has left a text screen, and that no framebuffer
    has replaced it. tell_all: sets `verbose`, by which each stage decides whether it tells its steps.
    """
    global debug_port_present, verbose
    verbose = tell_all
    if log & LOG_SERIAL:
        serial.start()
    else:
        serial.stop()
    debug_port_present = log & LOG_DEBUGCON != 0 and inb(DEBUG_PORT) == DEBUG_PORT
    if log & LOG_SCREEN:
        screen.start()
    else:
        screen.stop()


@fn(provides="write")
def write(message: span[u8]) -> None:
    """Write text; a line feed starts a new line."""
    global bar_open
    if bar_open:
        bar_open = False
        write(text("\n"))
    for byte in message:
        if byte == LINE_FEED:
            put(CARRIAGE_RETURN)
        put(byte)


@fn
def put(byte: u8) -> None:
    serial.put(byte)
    screen.put(byte)
    if debug_port_present:
        outb(DEBUG_PORT, byte)


@fn(provides="stop")
def stop() -> NoReturn:
    """Say that nothing further will happen, and stop this CPU for good."""
    write(text("Boot stopped. Reset the machine to try again.\n"))
    halt()

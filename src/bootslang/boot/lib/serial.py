"""COM1 at 115200 baud, 8N1, by polling; the console of stages 2 to 4 writes to it. Any mode, interrupts untouched.

A machine without the port, or with one that never gets ready, must not slow a boot: the port is looked for once, every
wait is bounded, and a wait that ran out counts the port as gone.
"""

from typing import Final

from bootslang.slang import compile_for, fn, inb, outb, u8

compile_for("protected32", "long64")

COM1: Final = 0x3F8
DATA: Final = COM1
INTERRUPT_ENABLE: Final = COM1 + 1
FIFO_CONTROL: Final = COM1 + 2
LINE_CONTROL: Final = COM1 + 3
MODEM_CONTROL: Final = COM1 + 4
LINE_STATUS: Final = COM1 + 5
SCRATCH: Final = COM1 + 7

DIVISOR_LATCH: Final = 0x80
EIGHT_BITS_NO_PARITY: Final = 0x03
FIFO_ON_AND_CLEARED: Final = 0xC7
READY_TO_SEND: Final = 0x0B
"""DTR, RTS and OUT2, as a terminal with flow control expects them."""
HOLDING_EMPTY: Final = 0x20
ALL_SENT: Final = 0x40

WAIT_READS: Final = 1_000_000
"""Some 1 s; a full FIFO takes 1.4 ms at 115200 baud. An emulated port waits for its host as well, which
may be busy: QEMU's took more than 0.1 s once in a while, and the rest of the boot was lost."""

present: bool = False


@fn
def start() -> None:
    """Look for the port and set it up; what an earlier stage has written is sent first."""
    global present
    present = keeps(0x5A) and keeps(0xA5)
    if not present:
        return
    wait_for(ALL_SENT)
    outb(INTERRUPT_ENABLE, 0)
    outb(LINE_CONTROL, DIVISOR_LATCH)
    outb(DATA, 1)
    outb(INTERRUPT_ENABLE, 0)
    outb(LINE_CONTROL, EIGHT_BITS_NO_PARITY)
    outb(FIFO_CONTROL, FIFO_ON_AND_CLEARED)
    outb(MODEM_CONTROL, READY_TO_SEND)


@fn
def stop() -> None:
    """Leave the port alone from now on."""
    global present
    present = False


@fn
def keeps(pattern: u8) -> bool:
    """Whether the scratch register, which does nothing else, holds what is written to it."""
    outb(SCRATCH, pattern)
    return inb(SCRATCH) == pattern


@fn
def wait_for(condition: u8) -> bool:
    for _ in range(WAIT_READS):
        if inb(LINE_STATUS) & condition:
            return True
    return False


@fn
def put(byte: u8) -> None:
    """Send one byte, if the port is there."""
    global present
    if present:
        present = wait_for(HOLDING_EMPTY)
        outb(DATA, byte)

"""Address line 20: without it, every odd MiB of memory is the even one below it.

Stage 2 calls `enable_a20` once, the gate `keep_a20` after each BIOS call; 32-bit protected mode, interrupts off. The
order is the one that has worked for Linux: look, the BIOS, the keyboard controller, port 0x92; every wait is bounded,
and a machine without a keyboard controller (its status reads 0xFF for ever) is noticed.
"""

from typing import Final

from bootslang.boot.bios.calls import SYSTEM, call_bios
from bootslang.boot.context import GateRequest
from bootslang.slang import BootError, compile_for, fn, inb, outb, ptr, u32, volatile

compile_for("protected32")

PROBE: Final = 0x200
"""The vector of INT 80h, which nothing uses while interrupts are off."""
PROBE_ABOVE: Final = 0x10_0000 + PROBE
SHORT_POLL: Final = 32
LONG_POLL: Final = 0x4000
"""Some 30 ms: port 0x92 and the keyboard controller take their time on some machines."""
ROUNDS: Final = 255

DELAY_PORT: Final = 0x80
"""A write to the port of the power-on codes takes about a microsecond."""

KEYBOARD_DATA: Final = 0x60
KEYBOARD_STATUS: Final = 0x64
OUTPUT_FULL: Final = 0x01
INPUT_FULL: Final = 0x02
WRITE_OUTPUT_PORT: Final = 0xD1
A20_AND_NO_RESET: Final = 0xDF
NULL_COMMAND: Final = 0xFF
NO_CONTROLLER: Final = 0xFF
CONTROLLER_READS: Final = 100_000
ABSENT_READS: Final = 32
"""So many 0xFF in a row mean that nothing is there."""

SYSTEM_CONTROL: Final = 0x92
FAST_A20: Final = 0x02
NO_RESET: Final = 0xFE

restoring: bool = False


@fn
def enable_a20(rounds: u32) -> None:
    """Switch A20 on, in up to `rounds` rounds, or raise."""
    if a20_is_on(SHORT_POLL):
        return
    for _ in range(rounds):
        by_bios()
        if a20_is_on(SHORT_POLL):
            return
        if by_keyboard_controller() and a20_is_on(LONG_POLL):
            return
        by_fast_gate()
        if a20_is_on(LONG_POLL):
            return
    raise BootError("address line A20 cannot be switched on (tried: BIOS, keyboard controller, port 0x92)")


@fn
def keep_a20() -> None:
    """Switch A20 on again where a BIOS call has left it off; the calls that this makes itself are not looked at."""
    global restoring
    if restoring:
        return
    restoring = True
    enable_a20(ROUNDS)
    restoring = False


@fn
def a20_is_on(polls: u32) -> bool:
    """Whether a value written to low memory is not seen 1 MiB higher; `polls` times at most."""
    low = ptr[volatile[u32]](PROBE)
    high = ptr[volatile[u32]](PROBE_ABOVE)
    kept = low[0]
    value = kept
    separate = False
    for _ in range(polls):
        value += 1
        low[0] = value
        outb(DELAY_PORT, 0)
        if high[0] != value:
            separate = True
            break
    low[0] = kept
    return separate


@fn
def by_bios() -> None:
    request = GateRequest.zeroed()
    request.eax = 0x2401
    call_bios(SYSTEM, request, 0)


@fn
def by_keyboard_controller() -> bool:
    """Ask the 8042; False if there is none or it does not take commands."""
    if not controller_is_idle():
        return False
    outb(KEYBOARD_STATUS, WRITE_OUTPUT_PORT)
    if not controller_is_idle():
        return False
    outb(KEYBOARD_DATA, A20_AND_NO_RESET)
    if not controller_is_idle():
        return False
    outb(KEYBOARD_STATUS, NULL_COMMAND)
    return controller_is_idle()


@fn
def controller_is_idle() -> bool:
    """Wait until the controller takes a byte, throwing away what it has for us."""
    absent: u32 = 0
    for _ in range(CONTROLLER_READS):
        outb(DELAY_PORT, 0)
        status = inb(KEYBOARD_STATUS)
        if status == NO_CONTROLLER:
            absent += 1
            if absent == ABSENT_READS:
                return False
        elif status & OUTPUT_FULL:
            outb(DELAY_PORT, 0)
            inb(KEYBOARD_DATA)
        elif not status & INPUT_FULL:
            return True
    return False


@fn
def by_fast_gate() -> None:
    """Port 0x92: bit 1 is A20, and bit 0, which resets the machine, has to be 0."""
    value = inb(SYSTEM_CONTROL)
    outb(SYSTEM_CONTROL, (value | FAST_A20) & NO_RESET)

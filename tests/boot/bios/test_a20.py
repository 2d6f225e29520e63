"""Is A20 switched on in the right order, on every machine, and is a machine where it cannot be told so?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootslang.boot.bios.a20 import PROBE, a20_is_on, enable_a20, keep_a20
from bootslang.slang import BootError

if TYPE_CHECKING:
    from bootslang.boot.context import GateRequest
from support.bios import FakeBios

MIB = 1 << 20
KEYBOARD_DATA, KEYBOARD_STATUS, SYSTEM_CONTROL = 0x60, 0x64, 0x92
INTERRUPT_CONTROLLERS = {0x20, 0x21, 0xA0, 0xA1}


class A20Machine(FakeBios):
    """A machine with a gated line: `works` says which of "bios", "8042" and "port 92" switch it on."""

    def __init__(self, *works: str, on: bool = False, controller: bool = True) -> None:
        super().__init__()
        self.on, self.works, self.controller = on, works, controller
        self.waiting_keys = 3
        self.output_port_follows = False
        self.tried: list[str] = []
        self.fast = 0x01
        self.stuck_busy = False

    def try_by(self, way: str) -> None:
        """Switch the line on, if this way works here."""
        self.tried.append(way)
        self.on = self.on or way in self.works

    def int15(self, request: GateRequest, memory: int) -> bool:
        """AX=2401h."""
        del memory
        assert request.eax == 0x2401
        self.try_by("bios")
        return "bios" not in self.works

    def read_memory(self, address: int, size: int) -> int:
        """Fold odd MiB onto even ones while the line is off."""
        return super().read_memory(address if self.on else address & ~MIB, size)

    def write_memory(self, address: int, size: int, value: int) -> None:
        """Fold odd MiB onto even ones while the line is off."""
        assert address < MIB, "nothing above 1 MiB is written: a kernel may be there"
        super().write_memory(address, size, value)

    def read_port(self, port: int, size: int) -> int:
        """Answer as an 8042 or as nothing."""
        super().read_port(port, size)
        if port == SYSTEM_CONTROL:
            return self.fast
        if not self.controller:
            return 0xFF
        if port == KEYBOARD_DATA:
            self.waiting_keys = max(0, self.waiting_keys - 1)
            return 0x1C
        assert port == KEYBOARD_STATUS
        return (0x01 if self.waiting_keys else 0) | (0x02 if self.stuck_busy else 0)

    def write_port(self, port: int, size: int, value: int) -> None:
        """Take commands."""
        super().write_port(port, size, value)
        if port == SYSTEM_CONTROL:
            assert not value & 1, "bit 0 resets the machine"
            self.try_by("port 92")
        elif port == KEYBOARD_STATUS:
            assert self.controller
            assert not self.waiting_keys
            self.output_port_follows = value == 0xD1
        elif port == KEYBOARD_DATA:
            assert self.output_port_follows
            assert value == 0xDF
            self.try_by("8042")


def test_a_line_that_is_on_is_left_alone() -> None:
    """Where A20 is on already, is nothing tried?"""
    with A20Machine(on=True) as machine:
        enable_a20(1)
    assert machine.tried == []


@pytest.mark.parametrize(
    ("works", "tried"),
    [
        ("bios", ["bios"]),
        ("8042", ["bios", "8042"]),
        ("port 92", ["bios", "8042", "port 92"]),
    ],
)
def test_the_order(works: str, tried: list[str]) -> None:
    """Are the BIOS, the keyboard controller and port 0x92 tried in this order, and no more than needed?"""
    with A20Machine(works) as machine:
        enable_a20(1)
        assert a20_is_on(1)
    assert machine.tried == tried


def test_without_a_keyboard_controller() -> None:
    """Is a machine whose port 0x64 reads 0xFF for ever recognised, and port 0x92 taken?"""
    with A20Machine("port 92", controller=False) as machine:
        enable_a20(1)
    assert machine.tried == ["bios", "port 92"]


def test_a_controller_that_stays_busy() -> None:
    """Does a controller that never takes a byte not hang the boot?"""
    with A20Machine("port 92") as machine:
        machine.stuck_busy = True
        enable_a20(1)
    assert machine.tried == ["bios", "port 92"]


def test_a_line_that_is_stuck() -> None:
    """Is a line that nothing switches on an error that says what was tried?"""
    message = r"address line A20 cannot be switched on \(tried: BIOS, keyboard controller, port 0x92\)"
    with A20Machine() as machine, pytest.raises(BootError, match=message):
        enable_a20(2)
    assert machine.tried == ["bios", "8042", "port 92"] * 2


def test_the_probed_vector_is_put_back() -> None:
    """Is the interrupt vector that the test writes to as it was afterwards, on or off?"""
    for on in (True, False):
        with A20Machine(on=on) as machine:
            machine.write_memory(PROBE, 4, 0xF000_FF53)
            assert a20_is_on(32) == on
            assert machine.read_memory(PROBE, 4) == 0xF000_FF53


def test_equal_memory_is_not_mistaken_for_a_line_that_is_off() -> None:
    """Where the memory 1 MiB higher happens to hold what is written, is the line still seen to be on?"""
    with A20Machine(on=True) as machine:
        machine.memory[PROBE + MIB] = 1
        assert a20_is_on(32)


def test_the_gate_restores_a_line_that_a_call_switched_off() -> None:
    """Does `keep_a20`, which the gate calls, bring it back, and cost nothing where it stayed on?"""
    with A20Machine("port 92", on=True) as machine:
        keep_a20()
        assert machine.tried == []
        machine.on = False
        keep_a20()
        assert machine.on


def test_interrupt_controllers_are_never_touched() -> None:
    """A BIOS needs its interrupt masks as it left them: does the code keep off their ports?"""
    with A20Machine("port 92") as machine:
        enable_a20(1)
    assert not machine.ports_touched & INTERRUPT_CONTROLLERS

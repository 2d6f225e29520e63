"""A BIOS in Python, for boot code that is run natively: it answers `call_bios` as a test has it answer.

Subclass `FakeBios` and write a method for each interrupt: `int15(request, memory)` changes the GateRequest as a BIOS
would, and returns the carry flag; `memory` is the address of what DS:SI and ES:DI point at, which `structure` makes
readable. What has no method answers as a BIOS that does not know the call: with carry.
"""

from __future__ import annotations

from typing import Any, TypeVar

from bootslang.boot.context import GateRequest
from bootslang.slang import FakeMachine, Struct
from bootslang.slang.memory import View, attach, memory_at, size_of

S = TypeVar("S", bound=Struct)


def structure(struct: type[S], address: int) -> S:
    """The struct that the code under test has at `address`, to be read and written."""
    return attach(struct, View(memory_at(address, size_of(struct))))


class FakeBios(FakeMachine):
    """The machine and its BIOS: memory below 1 MiB as far as it is volatile, ports, interrupts."""

    def __init__(self) -> None:
        self.memory: dict[int, int] = {}
        """Bytes that volatile accesses read and write; 0 where nothing was written."""
        self.calls: list[tuple[int, int]] = []
        """Interrupt and AX of every BIOS call so far."""
        self.ports_touched: set[int] = set()

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        """Answer a BIOS call; other assembly has to be overridden."""
        if code != "BIOS call":
            return super().assembly(code, registers)
        request = structure(GateRequest, registers["rax"])
        self.calls.append((request.interrupt, request.eax & 0xFFFF))
        handler: Any = getattr(self, f"int{request.interrupt:02x}", None)
        carry = True if handler is None else bool(handler(request, registers["rdx"]))
        request.flags = int(carry)
        return {}

    def read_memory(self, address: int, size: int) -> int:
        """Read what was written."""
        return int.from_bytes(bytes(self.memory.get(address + index, 0) for index in range(size)), "little")

    def write_memory(self, address: int, size: int, value: int) -> None:
        """Keep what is written."""
        for index, byte in enumerate(value.to_bytes(size, "little")):
            self.memory[address + index] = byte

    def read_port(self, port: int, size: int) -> int:
        """Nothing is there: all ones."""
        self.ports_touched.add(port)
        return (1 << 8 * size) - 1

    def write_port(self, port: int, size: int, value: int) -> None:
        """Nothing is there."""
        del size, value
        self.ports_touched.add(port)

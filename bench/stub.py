"""QEMU's gdb stub, spoken to directly: the few packets of the GDB remote serial protocol that a measurement needs.

QEMU's x86-64 numbering of the registers holds in every mode of the CPU.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

RBX: Final = 1
RDI: Final = 5
RIP: Final = 16
CS: Final = 18
READ_BYTES: Final = 1024
"""At a time: an answer has 4 KiB, and a byte takes two characters."""
TIMEOUT_SECONDS: Final = 120
INTERRUPT: Final = b"\x03"


class StubError(Exception):
    """The stub answered what it should not have."""


def frame(payload: str) -> bytes:
    """A packet: `$payload#checksum`."""
    return f"${payload}#{sum(payload.encode()) & 0xFF:02x}".encode()


def unframe(packet: bytes) -> str:
    """What a packet carries.

    Raises:
        StubError: It is no packet, or its checksum is wrong.

    """
    body, separator, checksum = packet.removeprefix(b"$").rpartition(b"#")
    if not packet.startswith(b"$") or not separator or int(checksum, 16) != sum(body) & 0xFF:
        raise StubError(f"{packet!r} is no whole packet")
    return body.decode()


class Stub:
    """A machine that stands at its reset vector."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.ask("qXfer:features:read:target.xml:0,ffb")  # before this, QEMU tells no single register

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, payload: str) -> str:
        """Send a packet and return the answer's payload."""
        self._socket.sendall(frame(payload))
        answer = self._receive()
        if answer.startswith("E"):
            raise StubError(f"{payload!r} was answered {answer!r}")
        return answer

    def _receive(self) -> str:
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if 0 <= start < end and len(self._buffer) >= end + 3:
                packet = self._buffer[start : end + 3]
                self._buffer = self._buffer[end + 3 :]
                self._socket.sendall(b"+")
                return unframe(packet)
            data = self._socket.recv(4096)
            if not data:
                raise StubError("the machine has ended")
            self._buffer += data

    def register(self, number: int) -> int:
        """A register's value, zero-extended to 64 bits."""
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")

    def jump(self, segment: int, offset: int) -> None:
        """Go on elsewhere, in real mode."""
        self.ask(f"P{CS:x}={segment.to_bytes(4, 'little').hex()}")
        self.go_to(offset)

    def go_to(self, address: int) -> None:
        """Go on elsewhere in the same code segment."""
        self.ask(f"P{RIP:x}={address.to_bytes(8, 'little').hex()}")

    def read(self, address: int, size: int) -> bytes:
        """Memory as the CPU sees it at the moment; segments do not count."""
        found = b""
        while len(found) < size:
            part = min(size - len(found), READ_BYTES)
            found += bytes.fromhex(self.ask(f"m{address + len(found):x},{part:x}"))
        return found

    def write(self, address: int, data: bytes) -> None:
        """Write memory; at most READ_BYTES."""
        self.ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def run_to(self, address: int) -> None:
        """Go on until the CPU is about to execute the instruction at a linear address."""
        self.ask(f"Z1,{address:x},1")
        self.ask("c")
        self.ask(f"z1,{address:x},1")

    def resume(self) -> None:
        """Go on; `halt` is to follow."""
        self._socket.sendall(frame("c"))

    def halt(self) -> None:
        """Stop the machine where it is."""
        self._socket.sendall(INTERRUPT)
        self._receive()

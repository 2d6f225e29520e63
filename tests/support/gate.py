"""The BIOS door's gate, with a disk behind it: what natively running boot code reads sectors from."""

from bootslang.boot.context import GATE_READ, GateRequest
from bootslang.slang import FakeMachine, offsetof
from support.low_memory import LowMemory

MEDIA_ERROR = 0x0C


class Gate(FakeMachine):
    """Serves GATE_READ from `disk`, whose first sector is `first_lba`; the clock stands still.

    `reads` lists the (LBA, sectors) of each call.
    """

    def __init__(
        self,
        low: LowMemory,
        disk: bytes | bytearray,
        bounce: int,
        *,
        sector: int = 512,
        first_lba: int = 0,
        bad_lba: int = -1,
    ) -> None:
        self.low = low
        self.disk = disk
        self.bounce = bounce
        self.sector = sector
        self.first_lba = first_lba
        self.bad_lba = bad_lba
        self.reads: list[tuple[int, int]] = []

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        assert code == "gate"
        request = registers["rax"]
        assert self.field(request, "interrupt") == GATE_READ
        lba = self.field(request, "edi") << 32 | self.field(request, "esi")
        count = self.field(request, "ecx")
        self.reads.append((lba, count))
        bad = lba <= self.bad_lba < lba + count
        start = (lba - self.first_lba) * self.sector
        data = bytes(self.disk[start : start + count * self.sector])
        assert len(data) == count * self.sector, "a read beyond the partition"
        done = self.bad_lba - lba if bad else count
        self.low.write(self.bounce, data[: done * self.sector])
        self.low.write(request + offsetof(GateRequest, "flags"), bytes([bad, 0, 0, 0]))
        self.low.write(request + offsetof(GateRequest, "ecx"), done.to_bytes(4, "little"))
        self.low.write(request + offsetof(GateRequest, "eax"), bytes([MEDIA_ERROR if bad else 0, 0, 0, 0]))
        return {}

    def field(self, request: int, name: str) -> int:
        return int.from_bytes(self.low.read(request + offsetof(GateRequest, name), 4), "little")

    def read_port(self, port: int, size: int) -> int:
        assert (port, size) == (0x71, 1), "only the clock is asked"
        return 0

    def write_port(self, port: int, size: int, value: int) -> None:
        assert (port, size) == (0x70, 1), f"only the clock is asked, not {port:#x} ({value:#x})"

"""One boot, measured inside the machine: from the BIOS's jump to 0x7C00 to the kernel's first instruction.

At the jump QEMU's gdb stub stops the machine, `disk_hook` is put into its memory, and it runs on undisturbed. The
kernel is Debian's but for its first instructions, which note the time stamp counter and say so on port 0xE9. The loader
is as users have it, quiet; the stamps that its stages leave in BootContext part its time.

With `-icount shift=0` the counter counts instructions, and the time in which the CPU waits in HLT as one a nanosecond.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from bench import disk_hook
from bench.disk_hook import Counters
from bench.stub import Stub
from bootslang import Machine
from bootslang.boot.context import CONTEXT_MAGIC, SPENT_CHECKING, SPENT_READING, SPENT_UNPACKING, BootContext
from bootslang.boot.layout import BOOT_SECTOR, CONTEXT
from bootslang.slang import sizeof, span, units
from bootslang.slang.link import LinkRequest, ObjectFile, link

if TYPE_CHECKING:
    from pathlib import Path

    from bootslang.emulator import DriveKind, Guest
    from bootslang.slang.link import Image

MEMORY: Final = "512M"
DISK_VECTOR: Final = 0x13 * 4
LOW_MEMORY_KIB: Final = 0x413
"""Where the BIOS keeps what INT 12h tells."""
TIMEOUT_SECONDS: Final = 300

ARRIVAL: Final = 0x500
"""Free memory between the BIOS's data and the loader's stack: where the kernel notes the time."""
ARRIVED: Final = "K"
KERNEL_START: Final = b"".join(
    (
        b"\x0f\x31",  # rdtsc
        b"\x89\x04\x25" + struct.pack("<I", ARRIVAL),  # mov [ARRIVAL], eax
        b"\x89\x14\x25" + struct.pack("<I", ARRIVAL + 4),  # mov [ARRIVAL + 4], edx
        b"\xb0" + ARRIVED.encode() + b"\xe6\xe9",  # mov al, 'K'; out 0xe9, al
        b"\xeb\xfe",  # jmp $
    )
)
"""64-bit code, on the identity map that a kernel is entered with."""
SETUP_SECTORS: Final = 0x1F1
ENTRY_64: Final = 0x200
"""Of a bzImage, behind its setup part."""


@dataclass(frozen=True)
class Disk:
    """How QEMU attaches a disk."""

    name: str
    kind: DriveKind
    machine: str = "pc"


DISKS: Final = (Disk("IDE", "ide"), Disk("AHCI", "ide", "q35"), Disk("virtio-blk", "virtio"))


@dataclass(frozen=True)
class Journey:
    """The phases of a boot, in instructions, and the disk calls on the way."""

    stage1: int
    stage2: int
    stage3: int
    reading: int
    """Stage 4: chunks, through the BIOS and out of the bounce buffer."""
    checking: int
    unpacking: int
    placing: int
    """All else of stage 4: manifest, memory, gaps, zero page, the jump."""
    in_bios: int
    """Of all these: in INT 13h, the BIOS's waiting for the disk included."""
    calls: int
    """Every INT 13h, whatever its function, by all stages together."""
    reads: int
    sectors: int
    """Of 512 bytes, that the reads asked for."""

    @property
    def total(self) -> int:
        """From the BIOS's jump to the kernel's first instruction."""
        return self.stage1 + self.stage2 + self.stage3 + self.reading + self.checking + self.unpacking + self.placing

    @property
    def own(self) -> int:
        """The loader's own instructions. How long a BIOS waits for the disk is the host's doing; this repeats."""
        return self.total - self.in_bios


def journey_of(context: BootContext, counters: Counters, arrival: int) -> Journey:
    """Make sense of what the machine's memory holds when the kernel starts."""
    if context.magic != CONTEXT_MAGIC:
        raise ValueError("the machine's memory holds no BootContext")
    stamps = list(context.stamps)
    spent = list(context.spent)
    return Journey(
        stage1=stamps[2] - counters.start,
        stage2=stamps[3] - stamps[2],
        stage3=stamps[4] - stamps[3],
        reading=spent[SPENT_READING],
        checking=spent[SPENT_CHECKING],
        unpacking=spent[SPENT_UNPACKING],
        placing=arrival - stamps[4] - sum(spent),
        in_bios=counters.spent,
        calls=counters.calls,
        reads=counters.reads,
        sectors=counters.sectors,
    )


def measure(disk: Disk, path: Path, *, counting: bool) -> tuple[Journey, float]:
    """Boot, and tell the phases and the seconds; `counting` instructions, else at full speed and in ticks."""
    machine = Machine(
        path,
        kind=disk.kind,
        machine=disk.machine,
        memory=MEMORY,
        accel="tcg",
        gdb=True,
        icount=0 if counting else None,
        debugcon=True,
    )
    with machine.start() as guest, Stub(guest.gdb_port or 0) as stub:
        stub.run_to(BOOT_SECTOR)
        counters_at = put_hook(stub)
        start = time.perf_counter()
        stub.resume()
        wait_for_kernel(guest)
        elapsed = time.perf_counter() - start
        stub.halt()
        context = BootContext.of(span(bytearray(stub.read(CONTEXT, sizeof(BootContext)))))
        counters = Counters.of(span(bytearray(stub.read(counters_at, sizeof(Counters)))))
        arrival = int.from_bytes(stub.read(ARRIVAL, 8), "little")
        return journey_of(context, counters, arrival), elapsed


@cache
def hook() -> Image:
    """The hook's code, for offset 0 of a segment."""
    root = disk_hook.__name__
    compiled = units.compile_ir(units.ir_of(units.Unit(name=root, target="real16", modules=(root,))), "real16")
    return link(LinkRequest(name=root, objects=(ObjectFile(root, compiled),), base=0))


def put_hook(stub: Stub) -> int:
    """Install it and let the machine go on at its start; return where its counters are."""
    image = hook()
    kib = int.from_bytes(stub.read(LOW_MEMORY_KIB, 2), "little") - 1
    segment = kib * 1024 // 16
    stub.write(LOW_MEMORY_KIB, kib.to_bytes(2, "little"))
    stub.write(segment * 16, image.data)
    bios = stub.read(DISK_VECTOR, 4)
    stub.write(segment * 16 + disk_hook.BIOS, bios)
    stub.write(DISK_VECTOR, struct.pack("<HH", image.symbols[f"{disk_hook.__name__}.hook"], segment))
    stub.jump(segment, image.symbols[f"{disk_hook.__name__}.start"])
    return segment * 16


def wait_for_kernel(guest: Guest, sign: str = ARRIVED) -> None:
    """Wait for the kernel's sign on port 0xE9."""
    port = guest.debugcon
    deadline = time.monotonic() + TIMEOUT_SECONDS
    if port is None:
        raise ValueError("the machine has no port 0xE9")
    with port.changed:
        while not port.search(sign):
            if port.closed or time.monotonic() > deadline:
                raise RuntimeError(f"the kernel was not reached:\n{guest.console.text}")
            port.changed.wait(1)


def patch_bzimage(kernel: bytes) -> bytes:
    """Put KERNEL_START at the 64-bit entry of a bzImage."""
    setup_bytes = ((kernel[SETUP_SECTORS] or 4) + 1) * 512
    return patched(kernel, setup_bytes + ENTRY_64)


def patch_elf(kernel: bytes) -> bytes:
    """Put KERNEL_START at the entry of an ELF64 kernel, whose entry is a physical address."""
    (entry, table) = struct.unpack_from("<QQ", kernel, 24)
    size, count = struct.unpack_from("<HH", kernel, 54)
    for index in range(count):
        kind, _, offset, _, physical, in_file = struct.unpack_from("<IIQQQQ", kernel, table + index * size)
        if kind == 1 and physical <= entry < physical + in_file:
            return patched(kernel, offset + entry - physical)
    raise ValueError("the kernel's entry lies in none of its segments")


def patched(kernel: bytes, offset: int) -> bytes:
    """The same file with KERNEL_START at `offset`."""
    return kernel[:offset] + KERNEL_START + kernel[offset + len(KERNEL_START) :]

"""A disk with a loader and nothing else, made by hand: what stages 1 to 3 need of one, and QEMU to start it in."""

from __future__ import annotations

import selectors
import struct
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xxhash

from bootslang.boot.disk import FLAG_VERBOSE, LOADER_MAGIC, LOADER_SLOT_BYTES, LoaderHeader, StageRecord
from bootslang.boot.layout import BOOT_SECTOR, STAGE2, STAGE3
from bootslang.image.loader import pack_stage
from bootslang.slang.memory import size_of
from support.linked import linked

if TYPE_CHECKING:
    from pathlib import Path

    from bootslang.slang.link import Image

STAGE1_ROOT = "bootslang.boot.bios.boot_sector"
STAGE2_READ_BYTES = 0x8000
SUMMED_FROM = 12
ALIGNMENT = 0x1000
DISK_SIGNATURE = 0x5EED_B007
LATER_STAGES = 0x1_0000
"""Where stages 3 and 4 start in a slot: beyond what stage 1 reads, so that a bad sector there is stage 2's affair."""
DISK_BYTES = 64 << 20
PASSED = 33
"""The exit code of a guest that wrote 0x10 to isa-debug-exit."""


def rotating_sum(data: bytes) -> int:
    """The sum that LoaderHeader describes."""
    total = 0
    for (word,) in struct.iter_unpack("<I", data):
        total = ((total << 1 | total >> 31) + word) & 0xFFFF_FFFF
    return total


def sealed(stage: bytes) -> bytes:
    """Stage 2 with its size and sum."""
    body = bytearray(stage.ljust(-(-len(stage) // 4) * 4, b"\0"))
    struct.pack_into("<QII", body, 0, LOADER_MAGIC, 0, len(body))
    struct.pack_into("<I", body, 8, rotating_sum(bytes(body[SUMMED_FROM:])))
    return bytes(body)


def boot_code(*, sector_size: int = 512, logical_lba: int = 0) -> bytes:
    """Stage 1 with the options that `build` would write."""
    image = linked(STAGE1_ROOT, "real16", BOOT_SECTOR)
    code = bytearray(image.data)
    place = image.symbols[f"{STAGE1_ROOT}.options"] - image.base
    options = (logical_lba, LOADER_SLOT_BYTES // sector_size, STAGE2_READ_BYTES // sector_size)
    code[place : place + 10] = struct.pack("<IIH", *options)
    return bytes(code)


def boot_sector(*, active: int | None = 1, lba: int, sector_size: int = 512, logical_lba: int = 0) -> bytes:
    """Sector 0, its partition table with one entry, active or not."""
    sector = bytearray(sector_size)
    code = boot_code(sector_size=sector_size, logical_lba=logical_lba)
    sector[: len(code)] = code
    struct.pack_into("<I", sector, 440, DISK_SIGNATURE)
    sector[510:512] = b"\x55\xaa"
    entry = struct.pack("<B3xB3xII", 0 if active is None else 0x80, 0x83, lba, 100_000)
    place = 446 + 16 * (active or 0)
    sector[place : place + 16] = entry
    return bytes(sector)


@dataclass(kw_only=True)
class Disk:
    """What goes on the disk; `slots` may be damaged before `write`."""

    lift: Image
    sector_size: int = 512
    partition_lba: int = 2048
    partition_bytes: int = 0x90000
    verbose: bool = False
    framebuffer: tuple[int, int, int] = (0, 0, 0)
    records: tuple[str, ...] = ("lift64", "lift32")
    active: int | None = 1

    def __post_init__(self) -> None:
        slot = self.slot()
        self.slots = [bytearray(slot), bytearray(slot)]
        self.sector_0 = boot_sector(active=self.active, lba=self.partition_lba, sector_size=self.sector_size)

    def slot(self) -> bytes:
        """Stages 2 to 4, each at its place."""
        stage2 = linked("bootslang.boot.bios.loader", "protected32", STAGE2)
        survey = linked("bootslang.boot.bios.survey", "protected32", STAGE3)
        header = LoaderHeader.zeroed()
        header.version = 1
        header.flags = FLAG_VERBOSE if self.verbose else 0
        header.sector_size = self.sector_size
        header.partition_bytes = self.partition_bytes
        header.framebuffer_width, header.framebuffer_height, header.framebuffer_depth = self.framebuffer
        slot = bytearray(LOADER_SLOT_BYTES)
        self.places: dict[str, int] = {}
        at = LATER_STAGES
        for index, (name, image) in enumerate((("survey", survey), ("lift64", self.lift), ("lift32", self.lift))):
            if name != "survey" and name not in self.records:
                continue
            packed = pack_stage(image.data)
            slot[at : at + len(packed)] = packed
            header.stages[index] = StageRecord(
                offset=at,
                packed=len(packed),
                size=len(image.data),
                address=image.base,
                memory=image.memory_bytes,
                checksum=xxhash.xxh64(packed).intdigest(),
            )
            self.places[name] = at
            at += -(-len(packed) // ALIGNMENT) * ALIGNMENT
        stage = sealed(bytes(header) + stage2.data[size_of(LoaderHeader) :])
        slot[: len(stage)] = stage
        return bytes(slot)

    def write(self, path: Path) -> Path:
        """Make the image file, sparse."""
        with path.open("wb") as file:
            file.write(self.sector_0)
            for index, slot in enumerate(self.slots):
                file.seek(self.partition_lba * self.sector_size + index * LOADER_SLOT_BYTES)
                file.write(slot)
            file.truncate(DISK_BYTES)
        return path


@dataclass
class Outcome:
    """What a machine has said on COM1, and QEMU's exit code (None: it was still running)."""

    text: str
    exit_code: int | None

    def values(self, name: str) -> list[list[int]]:
        """The numbers of every line that starts with `name`."""
        return [
            [int(word, 16) for word in line.split()[1:]]
            for line in self.text.splitlines()
            if line.split()[:1] == [name]
        ]


def run(*drives: str, arguments: tuple[str, ...] = (), seconds: float = 30, until: str = "Boot stopped") -> Outcome:
    """Start QEMU with these drives; end it once `until` was said on COM1, or when the guest has ended it."""
    command = ["qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-nodefaults", "-vga", "std", "-no-reboot"]
    command += ["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *drives, *arguments]
    return run_command(command, seconds, until)


def run_command(command: list[str], seconds: float, until: str) -> Outcome:
    """Read COM1 until the end."""
    process: Any = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    end = time.monotonic() + seconds
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    try:
        while time.monotonic() < end and until.encode() not in said:
            if selector.select(0.2):
                part = process.stdout.read1(65536)
                if not part:
                    break
                said += part
        code = process.wait(1) if until.encode() not in said and time.monotonic() < end else None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        selector.close()
    return Outcome(said.decode(errors="replace"), code)

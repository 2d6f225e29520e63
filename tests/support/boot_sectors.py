"""Boot sectors assembled by hand: the smallest guests there are, for what is tested without the loader."""

from pathlib import Path
from typing import Final

HANG: Final = bytes.fromhex("f4ebfd")  # hlt; jmp back
POWER_OFF: Final = bytes.fromhex("ba0406 b80020 ef ebfe")  # out to port 0x604 of 0x2000: ACPI's S5 on pc
RESET: Final = bytes.fromhex("b0fe e664 ebfe")  # mov al, 0xfe; out 0x64, al: the keyboard controller's reset line
TRIPLE_FAULT: Final = bytes.fromhex("0f011e007d cc")  # lidt [0x7d00], which holds zeros; int3


def say(text: str, port: int = 0x3F8) -> bytes:
    """Code that writes text to a port, by default the first serial line's: mov dx, port; mov al, c; out dx, al."""
    return b"\xba" + port.to_bytes(2, "little") + b"".join(bytes([0xB0, byte, 0xEE]) for byte in text.encode())


def exit_with(code: int) -> bytes:
    """Code that ends the machine: mov al, code; out 0xf4, al; jmp $."""
    return bytes([0xB0, code, 0xE6, 0xF4, 0xEB, 0xFE])


ECHO_A_KEY: Final = bytes.fromhex(
    "bafd03"  # mov dx, 0x3fd    the line status
    "ec"  # wait: in al, dx
    "a801"  # test al, 1         a byte came in
    "74fb"  # jz wait
    "baf803"  # mov dx, 0x3f8
    "ec"  # in al, dx
    "ee"  # out dx, al
)

READ_SECTOR_1: Final = bytes.fromhex(
    "31c08ed88ec0"  # xor ax, ax; mov ds, ax; mov es, ax
    "be207c"  # mov si, 0x7c20   the packet that read_sector_1 puts there
    "b442"  # mov ah, 0x42       EDD read from the drive in DL
    "cd13"  # int 0x13
    "baf803"  # mov dx, 0x3f8
    "7204"  # jc failed
    "b047"  # mov al, 'G'
    "eb02"  # jmp over
    "b042"  # failed: mov al, 'B'
    "ee"  # over: out dx, al
    "ebfe"  # jmp $
)
_PACKET: Final = bytes.fromhex("1000 0100 007e0000 0100000000000000")  # one sector, LBA 1, to 0:7E00


def read_sector_1() -> bytes:
    """Code that prints G if the second sector of the boot drive can be read, else B."""
    return READ_SECTOR_1.ljust(0x20, b"\0") + _PACKET


def boot_disk(folder: Path, code: bytes, name: str = "disk.img", size_bytes: int = 1 << 20) -> Path:
    """A disk whose first sector is this code and the boot signature."""
    path = folder / name
    with path.open("wb") as file:
        file.write(code.ljust(510, b"\0") + b"\x55\xaa")
        file.truncate(size_bytes)
    return path

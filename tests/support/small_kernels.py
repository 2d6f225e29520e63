"""Kernels of some bytes, assembled by hand, for what is tested without the loader: started by Multiboot or PVH.

Their code runs in 32-bit protected mode without paging, at LOAD_ADDRESS.
"""

import struct
from typing import Final

LOAD_ADDRESS: Final = 0x10_0000
HEADER_BYTES: Final = 0x1000
"""What stands before the code: the header that makes it a kernel."""
CODE: Final = LOAD_ADDRESS + HEADER_BYTES
HANG: Final = bytes.fromhex("f4ebfd")  # hlt; jmp back

MULTIBOOT1_MAGIC: Final = 0x1BAD_B002
MULTIBOOT1_ADDRESSES: Final = 1 << 16
"""The header has the addresses that a flat file is loaded to."""
MULTIBOOT2_MAGIC: Final = 0xE852_50D6


def say(text: str) -> bytes:
    """Code that writes text to the first serial port: mov dx, 0x3f8; mov al, c; out dx, al."""
    return b"\x66\xba\xf8\x03" + b"".join(bytes([0xB0, byte, 0xEE]) for byte in text.encode())


def exit_with(code: int) -> bytes:
    """Code that ends the machine: mov al, code; out 0xf4, al; jmp $."""
    return bytes([0xB0, code, 0xE6, 0xF4, 0xEB, 0xFE])


def multiboot1_kernel(code: bytes) -> bytes:
    """A flat file that says where it wants to be."""
    end = CODE + len(code)
    header = struct.pack(
        "<8I",
        MULTIBOOT1_MAGIC,
        MULTIBOOT1_ADDRESSES,
        -(MULTIBOOT1_MAGIC + MULTIBOOT1_ADDRESSES) & 0xFFFF_FFFF,
        LOAD_ADDRESS,  # this header
        LOAD_ADDRESS,  # the file
        end,  # its end
        end,  # the end of its .bss
        CODE,
    )
    return header.ljust(HEADER_BYTES, b"\0") + code


def multiboot2_kernel(code: bytes) -> bytes:
    """The same for Multiboot 2: tags with addresses (2), entry (3) and end (0), for the i386 (0)."""
    end = CODE + len(code)
    tags = struct.pack("<HHIIIII", 2, 0, 24, LOAD_ADDRESS, LOAD_ADDRESS, end, end)
    tags += struct.pack("<HHII4x", 3, 0, 12, CODE) + struct.pack("<HHI", 0, 0, 8)
    length = 16 + len(tags)
    header = struct.pack("<4I", MULTIBOOT2_MAGIC, 0, length, -(MULTIBOOT2_MAGIC + length) & 0xFFFF_FFFF)
    return (header + tags).ljust(HEADER_BYTES, b"\0") + code


def pvh_kernel(code: bytes) -> bytes:
    """An ELF64 with a note (XEN_ELFNOTE_PHYS32_ENTRY, 18) that says where a PVH machine enters it."""
    note = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", CODE)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, CODE, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    size = HEADER_BYTES + len(code)
    programs = struct.pack("<IIQQQQQQ", 1, 5, 0, LOAD_ADDRESS, LOAD_ADDRESS, size, size, 0x1000)  # LOAD, R E
    programs += struct.pack("<IIQQQQQQ", 4, 4, 0x200, 0, LOAD_ADDRESS + 0x200, len(note), len(note), 4)  # NOTE
    return ((header + programs).ljust(0x200, b"\0") + note).ljust(HEADER_BYTES, b"\0") + code

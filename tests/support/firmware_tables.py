"""The tables that a firmware has, with good sums: ACPI's root pointer and the SMBIOS entry points."""


def summed(table: bytes, at: int, size: int | None = None) -> bytes:
    """The table with the byte at `at` set so that the first `size` bytes add up to 0."""
    fixed = bytearray(table)
    fixed[at] = 0
    fixed[at] = -sum(fixed[:size]) & 0xFF
    return bytes(fixed)


RSDP1 = summed(b"RSD PTR \0OEMID \0\x12\x34\x56\x07", 8, 20)
RSDP2 = summed(summed(b"RSD PTR \0OEMID \x02\x12\x34\x56\x07" + (36).to_bytes(4, "little") + bytes(12), 8, 20), 32, 36)
SMBIOS = summed(b"_SM_\0\x1f\x02\x08" + bytes(8) + summed(b"_DMI_\0" + b"\x10\x01\0\0\x0f\0\x05\0\x28", 5), 4, 31)
SMBIOS_2_1 = summed(bytes(SMBIOS[:5]) + b"\x1e" + bytes(SMBIOS[6:]), 4, 30)
SMBIOS3 = summed(b"_SM3_\0\x18\x03" + bytes(16), 5, 24)

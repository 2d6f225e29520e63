"""Read a Linux `bzImage`: the setup header of the Linux/x86 boot protocol, from 2.10 (Linux 2.6.31) on.

Documentation/arch/x86/boot.rst is the specification; field names are its. The loader on the machine checks the same
header again before it acts on it.

The whole file is stored, with a boundary between the real-mode part and the protected-mode part that goes to memory.
"""

import struct
from typing import Any

from bootslang.kernel.file import CUT_OFF, FileBytes
from bootslang.kernel.model import ADDRESS_BITS_MAX, LOW_MEMORY_END, Extent, KernelKind, Limits, SetupHeader

OLDEST_PROTOCOL = 0x020A
"""2.10 brought pref_address and init_size: before it, nobody knows how much memory a kernel takes."""
HEADER_START = 0x1F1
HEADER_END_MAX = 0x290
"""In the zero page, the EDD signatures begin here."""
SETUP_SECTORS_DEFAULT = 4
ALIGNMENT_MAX = 1 << 30

_SECTOR_BYTES = 512
_BOOT_FLAG = 0xAA55
_MAGIC = b"HdrS"
_LOADED_HIGH = 1
_VERSION_BYTES_MAX = 256
_FIELDS_END = {0x020A: 0x264, 0x020B: 0x268, 0x020F: 0x26C}
"""Where the header ends at least, from a protocol version on."""


def recognises(file: FileBytes) -> bool:
    """Whether the file has the two marks of a Linux kernel with a boot protocol."""
    head = file.peek(0, 0x206)
    return head[0x1FE:0x200] == b"\x55\xaa" and head[0x202:0x206] == _MAGIC


def bits(file: FileBytes) -> int:
    """In which mode the kernel is entered, 32 or 64, by its first bytes alone."""
    return 64 if _setup_header(file, file.peek(0, HEADER_END_MAX)).entry64 else 32


def read(file: FileBytes) -> dict[str, Any]:
    """Return what `Kernel` is made of, or raise `KernelInvalid`."""
    head = file.peek(0, HEADER_END_MAX)
    setup = _setup_header(file, head)
    _check_sizes(file, setup)
    _check_placing(file, setup)
    start = _runtime_start(setup)
    memory = range(start, start + setup.init_size)
    return {
        "file": file,
        "kind": KernelKind.BZIMAGE,
        "bits": 64 if setup.entry64 else 32,
        "entry": start + (0x200 if setup.entry64 else 0),
        "segments": (),
        "memory": memory,
        "limits": _limits(file, setup, memory),
        "setup": setup,
        "contents": (Extent(0, setup.setup_bytes), Extent(setup.setup_bytes, file.size - setup.setup_bytes)),
    }


def _setup_header(file: FileBytes, head: bytes) -> SetupHeader:
    """Take the header's fields out of the file's first bytes; those that the header does not reach are 0."""
    if len(head) < HEADER_END_MAX:
        raise file.fault(f"it ends after {len(head)} bytes, inside the setup header", CUT_OFF)
    protocol = _field(head, "<H", 0x206)
    _check_protocol(file, protocol)
    end = 0x202 + head[0x201]
    if end > HEADER_END_MAX:
        raise file.fault(
            f"its setup header ends at {end:#x}, and the zero page has room for it up to {HEADER_END_MAX:#x}"
        )
    least = max(at for version, at in _FIELDS_END.items() if protocol >= version)
    if end < least:
        raise file.fault(
            f"its setup header ends at {end:#x}, before the fields of its protocol {_name(protocol)}, at {least:#x}"
        )
    loadflags = head[0x211]
    if not loadflags & _LOADED_HIGH:
        raise file.fault(
            "it is a zImage, which loads below 1 MiB (LOADED_HIGH is clear)",
            "Build it as a bzImage: `make bzImage`.",
        )
    head = head[:end] + bytes(HEADER_END_MAX - end)
    setup_bytes = ((head[0x1F1] or SETUP_SECTORS_DEFAULT) + 1) * _SECTOR_BYTES
    return SetupHeader(
        protocol=protocol,
        setup_bytes=setup_bytes,
        protected_bytes=_field(head, "<I", 0x1F4) * 16,
        header_end=end,
        loadflags=loadflags,
        xloadflags=_field(head, "<H", 0x236) if protocol >= 0x020C else 0,
        code32_start=_field(head, "<I", 0x214),
        initrd_addr_max=_field(head, "<I", 0x22C),
        kernel_alignment=_field(head, "<I", 0x230),
        relocatable=head[0x234] != 0,
        min_alignment=head[0x235],
        cmdline_size=_field(head, "<I", 0x238),
        payload_offset=_field(head, "<I", 0x248),
        payload_length=_field(head, "<I", 0x24C),
        pref_address=_field(head, "<Q", 0x258),
        init_size=_field(head, "<I", 0x260),
        version=_version(file, _field(head, "<H", 0x20E), setup_bytes),
    )


def _field(head: bytes, form: str, at: int) -> int:
    value: int = struct.unpack_from(form, head, at)[0]
    return value


def _name(protocol: int) -> str:
    return f"{protocol >> 8}.{protocol & 0xFF:02}"


def _check_protocol(file: FileBytes, protocol: int) -> None:
    if protocol < OLDEST_PROTOCOL:
        raise file.fault(
            f"it speaks boot protocol {_name(protocol)}, and the oldest that tells how much memory a kernel takes is"
            f" {_name(OLDEST_PROTOCOL)} (Linux 2.6.31)",
            "Use a newer kernel.",
        )
    if protocol >> 8 != 2:
        raise file.fault(f"it claims boot protocol {_name(protocol)}, and there is none after 2.xx")


def _version(file: FileBytes, pointer: int, setup_bytes: int) -> str:
    """Return the version string; the header points to it, less 0x200, inside the real-mode part."""
    if pointer == 0:
        return ""
    at = pointer + 0x200
    if at >= min(setup_bytes, file.size):
        raise file.fault(
            f"its version string is said to be at {at:#x}, outside of its setup part, which ends at {setup_bytes:#x}"
        )
    text = file.peek(at, min(_VERSION_BYTES_MAX, setup_bytes - at)).split(b"\0")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _check_sizes(file: FileBytes, setup: SetupHeader) -> None:
    if setup.setup_bytes >= file.size:
        raise file.fault(
            f"its real-mode part is said to have {setup.setup_bytes:,} bytes, and the whole file has {file.size:,}",
            CUT_OFF,
        )
    found = file.size - setup.setup_bytes
    if setup.protected_bytes == 0:
        raise file.fault("its header says that the protected-mode part is empty (syssize 0)")
    if found < setup.protected_bytes:
        raise file.fault(
            f"its protected-mode part has {found:,} bytes, and its header says {setup.protected_bytes:,} (syssize)",
            CUT_OFF,
        )
    if setup.init_size < setup.protected_bytes:
        raise file.fault(
            f"it claims to run in {setup.init_size:,} bytes (init_size), and has {setup.protected_bytes:,} itself",
        )


def _check_placing(file: FileBytes, setup: SetupHeader) -> None:
    alignment = setup.kernel_alignment
    if alignment == 0 or alignment & (alignment - 1) or alignment > ALIGNMENT_MAX:
        raise file.fault(
            f"its kernel_alignment is {alignment:#x}, and it has to be a power of two up to {ALIGNMENT_MAX:#x}"
        )
    if 1 << setup.min_alignment > alignment:
        raise file.fault(
            f"its min_alignment is 2 to the {setup.min_alignment}, more than its kernel_alignment of {alignment:#x}"
        )
    if setup.pref_address < LOW_MEMORY_END:
        raise file.fault(
            f"it wants to lie at {setup.pref_address:#x}, below 1 MiB, where the firmware and the loader are"
        )
    end = _runtime_start(setup) + setup.init_size
    if end > 1 << 32:
        raise file.fault(
            f"it wants {setup.init_size:,} bytes of memory from {setup.pref_address:#x} on, up to {end:#x}, past 4 GiB",
        )


def _runtime_start(setup: SetupHeader) -> int:
    """Return where it runs if it gets its way; a relocatable kernel's decompressor rounds the address up itself."""
    if not setup.relocatable:
        return setup.pref_address
    return -(-setup.pref_address // setup.kernel_alignment) * setup.kernel_alignment


def _limits(file: FileBytes, setup: SetupHeader, memory: range) -> Limits:
    wide = setup.entry64 and setup.above_4g
    highest = (1 << ADDRESS_BITS_MAX) - 1 if wide else setup.initrd_addr_max
    source = "its header allows all memory: CAN_BE_LOADED_ABOVE_4G" if wide else "initrd_addr_max in its header"
    return Limits(
        name=file.name,
        command_line_bytes=setup.cmdline_size,
        command_line_source="cmdline_size in its header",
        initrd_address_max=highest,
        initrd_source=source,
        initrd_bytes=max(0, highest + 1 - memory.stop, min(memory.start, highest + 1) - LOW_MEMORY_END),
    )

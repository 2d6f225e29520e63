"""ELF files made field by field, sound or not, for whatever reads them."""

import struct
from dataclasses import dataclass, field

MIB = 1 << 20
HIGH = 0xFFFF_FFFF_8000_0000
"""Where kernels are linked to that say -mcmodel=kernel."""
RELATIVE = 8
"""R_X86_64_RELATIVE."""

HEADERS = {64: struct.Struct("<16sHHIQQQIHHHHHH"), 32: struct.Struct("<16sHHIIIIIHHHHHH")}
ROWS = {64: struct.Struct("<IIQQQQQQ"), 32: struct.Struct("<8I")}
LOAD, DYNAMIC, INTERPRETER, NOTE, RELRO = 1, 2, 3, 4, 0x6474_E552


@dataclass
class Row:
    """A program header; `data` is put into the file unless an offset is given."""

    physical: int = 16 * MIB
    data: bytes = b"code" * 4
    kind: int = LOAD
    flags: int = 5
    offset: int | None = None
    virtual: int = 0xC100_0000
    file_bytes: int | None = None
    memory_bytes: int | None = None
    align: int = 0x1000


@dataclass
class Elf:
    """An ELF file field by field; the headers come first, then some bytes that nobody loads, then the contents."""

    rows: list[Row] = field(default_factory=lambda: [Row()])
    bits: int = 64
    entry: int = 16 * MIB
    type: int = 2
    machine: int | None = None
    ident: bytes | None = None
    version: int = 1
    table: int | None = None
    row_size: int | None = None
    row_count: int | None = None

    def build(self) -> bytes:
        header, row = HEADERS[self.bits], ROWS[self.bits]
        at = header.size + row.size * len(self.rows) + 32
        packed, contents = b"", b""
        for entry in self.rows:
            offset = at + len(contents) if entry.offset is None else entry.offset
            file_bytes = len(entry.data) if entry.file_bytes is None else entry.file_bytes
            memory_bytes = file_bytes if entry.memory_bytes is None else entry.memory_bytes
            sizes = (offset, entry.virtual, entry.physical, file_bytes, memory_bytes)
            packed += (
                row.pack(entry.kind, entry.flags, *sizes, entry.align)
                if self.bits == 64
                else row.pack(entry.kind, *sizes, entry.flags, entry.align)
            )
            contents += entry.data if entry.offset is None else b""
        machine = (62 if self.bits == 64 else 3) if self.machine is None else self.machine
        return (
            header.pack(
                self.ident or b"\x7fELF" + bytes([self.bits // 32, 1, 1]),
                *(self.type, machine, self.version, self.entry),
                *(header.size if self.table is None else self.table, 0x9999, 0, header.size),
                row.size if self.row_size is None else self.row_size,
                len(self.rows) if self.row_count is None else self.row_count,
                *(64, 7, 3),
            )
            + packed
            + b"debug sections, not to load. :-)"
            + contents
        )


def note(name: bytes = b"Bootslang\0", kind: int = 1, value: bytes = b"\1\0\0\0") -> bytes:
    """The note of a hand-off kernel."""
    return struct.pack("<III", len(name), len(value), kind) + name.ljust(12, b"\0") + value


def text(virtual: int = HIGH, data: bytes = b"code" * 4, **fields: int) -> Row:
    """A segment of code."""
    return Row(physical=0, virtual=virtual, data=data, **fields)


def data(virtual: int = HIGH + 0x1000, content: bytes = b"data" * 4, **fields: int) -> Row:
    """A segment of data."""
    return Row(physical=0, virtual=virtual, data=content, **({"flags": 6} | fields))


def static(*rows: Row, entry: int = HIGH) -> Elf:
    """A kernel linked to fixed addresses."""
    return Elf(list(rows) or [text(), data()], entry=entry)


def relocation(place: int = 0x1000, kind: int = RELATIVE, symbol: int = 0) -> bytes:
    return struct.pack("<QQq", place, symbol << 32 | kind, 0x1234)


def dynamic_section(table: int, size: int, **tags: int) -> bytes:
    """DT_RELA, DT_RELASZ, DT_RELAENT; `t17=5` adds an entry with tag 17, or replaces one."""
    entries = {7: table, 8: size, 9: 24} | {int(tag[1:]): value for tag, value in tags.items()}
    return b"".join(struct.pack("<QQ", *pair) for pair in entries.items()) + bytes(16) + struct.pack("<QQ", 18, 9)


def movable(relocations: bytes = b"", *, base: int = 0, **tags: int) -> Elf:
    """A position-independent kernel: text at 0, data at 0x1000 with the dynamic section and its table."""
    section = dynamic_section(base + 0x1100, len(relocations), **tags)
    content = section.ljust(0x100, b"\0") + relocations + bytes(32)
    at = 64 + 3 * ROWS[64].size + 32 + 16
    rows = [
        text(base),
        data(base + 0x1000, content, memory_bytes=0x2000),
        Row(0, b"", kind=DYNAMIC, virtual=base + 0x1000, offset=at, file_bytes=len(section), flags=6),
    ]
    return Elf(rows, entry=base, type=3)

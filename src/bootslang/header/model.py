"""The hand-off protocol as data: its constants and structs with what their docstrings say, for whatever writes them.

The one definition is `bootslang.boot.handoff`. Names, numbers, types and places come from that module as it is
imported; comments from its source, which Python forgets. Fields that are addresses are told by `ADDRESSES`: to slang
they are numbers, and other languages have a type for them.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from bootslang.boot import handoff
from bootslang.slang import types

POINTER_BYTES: Final = 8
NOTE_WORD_BYTES: Final = 4
DOC_PARAGRAPHS: Final = 2
"""How much of the module's docstring is about the protocol; the rest is on how it is kept."""

TEXT: Final = "text"
BYTES: Final = "bytes"
ADDRESSES: Final = {
    "BootInformation.memory": ("MemoryRegion", "memory_count"),
    "BootInformation.modules": ("ModuleInformation", "module_count"),
    "BootInformation.command_line": (TEXT, "command_line_size"),
    "BootInformation.loader_name": (TEXT, "loader_name_size"),
    "BootInformation.door_name": (TEXT, "door_name_size"),
    "ModuleInformation.address": (BYTES, "size"),
    "ModuleInformation.name": (TEXT, "name_size"),
}
"""Fields that are addresses in the direct map: what lies there, and the field that says how much of it."""
BITS: Final = {"MAGIC": 64, "STACK_BYTES": 64, "STAMPS": 64}
"""The widths of constants that are no u32."""


@dataclass(frozen=True)
class Constant:
    """A number, or the name of the note."""

    name: str
    value: int | bytes
    bits: int
    doc: str
    opens: bool
    """Whether it is the first of a group."""


@dataclass(frozen=True)
class Address:
    """What an address leads to."""

    target: str
    """A struct's name, TEXT or BYTES."""
    count: str
    """The field with the number of elements."""


@dataclass(frozen=True)
class Field:
    """A field of a struct."""

    name: str
    bits: int
    """Of the integer, or of an array's element; 0 for a struct."""
    struct: str
    """The struct's name, if it is one."""
    length: int
    """Of an array; 0 if it is none."""
    offset: int
    doc: str
    address: Address | None


@dataclass(frozen=True)
class Structure:
    """A struct; sizes and offsets are in bytes."""

    name: str
    doc: str
    size: int
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Protocol:
    """All of it."""

    doc: str
    constants: tuple[Constant, ...]
    structures: tuple[Structure, ...]
    """Each behind those that it contains."""

    @property
    def note_name(self) -> bytes:
        """The note's name as it lies in a file: with its NUL, in whole words."""
        name = handoff.NOTE_NAME + b"\0"
        return name + bytes(-len(name) % NOTE_WORD_BYTES)


@cache
def protocol() -> Protocol:
    """Read the definition."""
    tree = ast.parse(inspect.getsource(handoff))
    return Protocol(
        doc="\n\n".join((ast.get_docstring(tree) or "").split("\n\n")[:DOC_PARAGRAPHS]),
        constants=tuple(_constants(tree)),
        structures=tuple(_structure(node) for node in tree.body if isinstance(node, ast.ClassDef)),
    )


def _constants(tree: ast.Module) -> Iterator[Constant]:
    docs = _docs(tree.body)
    end = 0
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            yield Constant(
                name=name,
                value=getattr(handoff, name),
                bits=BITS.get(name, 32),
                doc=docs.get(name, ""),
                opens=node.lineno > end + 1,
            )
        end = node.end_lineno or 0


def _structure(node: ast.ClassDef) -> Structure:
    layout = types.layout_of(getattr(handoff, node.name), POINTER_BYTES)
    docs = _docs(node.body)
    return Structure(
        name=node.name,
        doc=ast.get_docstring(node) or "",
        size=layout.size,
        fields=tuple(_field(node.name, field, docs.get(name, "")) for name, field in layout.fields.items()),
    )


def _field(struct: str, field: types.Field, doc: str) -> Field:
    kind: types.Type = field.cell.type
    length = 0
    if isinstance(kind, types.ArrayType):
        length, kind = kind.count, kind.element.type
    found = ADDRESSES.get(f"{struct}.{field.name}")
    return Field(
        name=field.name,
        bits=kind.bits if isinstance(kind, types.IntType) else 0,
        struct=kind.python.__name__ if isinstance(kind, types.StructType) else "",
        length=length,
        offset=field.offset,
        doc=doc,
        address=Address(*found) if found else None,
    )


def _docs(body: list[ast.stmt]) -> dict[str, str]:
    """The docstrings that follow names: a text by itself behind an annotation."""
    found: dict[str, str] = {}
    for node, behind in pairwise(body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        match behind:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                found[node.target.id] = inspect.cleandoc(text)
    return found

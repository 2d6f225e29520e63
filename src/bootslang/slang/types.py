"""The types of slang as the compiler sees them, and the layout of structs.

Annotations become types here: `kind_of` takes what an annotation evaluates to (`u8`, `span[u8]`, a `Struct` class).
Struct layouts depend on one thing only, the size of a pointer on the target.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import types
import typing
from dataclasses import dataclass
from typing import Any, NoReturn

from bootslang.slang import words


class TypeProblem(Exception):
    """An annotation that is no slang type: what is wrong, and what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Type:
    """A type; its text is how a user spells it."""


@dataclass(frozen=True)
class IntType(Type):
    name: str
    bits: int
    signed: bool

    @property
    def least(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def most(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class BoolType(Type):
    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True)
class NoneKind(Type):
    def __str__(self) -> str:
        return "None"


@dataclass(frozen=True)
class NeverType(Type):
    def __str__(self) -> str:
        return "NoReturn"


@dataclass(frozen=True)
class Cell:
    """A value in memory: its type and how it is stored."""

    type: Type
    volatile: bool = False
    big_endian: bool = False

    def __str__(self) -> str:
        text = str(self.type)
        if self.big_endian:
            text = f"be[{text}]"
        return f"volatile[{text}]" if self.volatile else text


@dataclass(frozen=True)
class PtrType(Type):
    element: Cell

    def __str__(self) -> str:
        return f"ptr[{self.element}]"


@dataclass(frozen=True)
class SpanType(Type):
    element: Cell

    def __str__(self) -> str:
        return f"span[{self.element}]"


@dataclass(frozen=True)
class ArrayType(Type):
    element: Cell
    count: int

    def __str__(self) -> str:
        return f"array[{self.element}]({self.count})"


@dataclass(frozen=True)
class StructType(Type):
    python: type[words.Struct]

    def __str__(self) -> str:
        return self.python.__name__


@dataclass(frozen=True)
class FunctionType(Type):
    parameters: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        return f"Callable[[{', '.join(map(str, self.parameters))}], {self.result}]"


@dataclass(frozen=True)
class TupleType(Type):
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.items))}]"


BOOL = BoolType()
NONE = NoneKind()
NEVER = NeverType()
U8, U16, U32, U64 = (IntType(f"u{bits}", bits, signed=False) for bits in (8, 16, 32, 64))
I8, I16, I32, I64 = (IntType(f"i{bits}", bits, signed=True) for bits in (8, 16, 32, 64))
USIZE32 = IntType("usize", 32, signed=False)
USIZE64 = IntType("usize", 64, signed=False)
INTEGERS = {kind.name: kind for kind in (U8, U16, U32, U64, I8, I16, I32, I64)}


@dataclass(frozen=True)
class Field:
    name: str
    cell: Cell
    offset: int
    has_default: bool = False
    default: object = None


@dataclass(frozen=True)
class Layout:
    fields: dict[str, Field]
    size: int


def usize_of(pointer_bytes: int) -> IntType:
    return USIZE64 if pointer_bytes == 8 else USIZE32


def kind_of(annotation: object, pointer_bytes: int) -> Type:
    """The type that an annotation evaluates to; raises TypeProblem if it is none."""
    cell = cell_of(annotation, pointer_bytes)
    if cell.volatile or cell.big_endian:
        raise TypeProblem(f"{cell} says how something is stored", "use it for struct fields and elements")
    return cell.type


def cell_of(annotation: object, pointer_bytes: int) -> Cell:
    """The type and the storage that an annotation evaluates to."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *marks = typing.get_args(annotation)
        cell = cell_of(inner, pointer_bytes)
        names = [mark.name for mark in marks if isinstance(mark, words.Mark)]
        found = Cell(cell.type, cell.volatile or "volatile" in names, cell.big_endian or "be" in names)
        if found.big_endian and not isinstance(found.type, IntType):
            raise TypeProblem(f"{found} is no integer, and has no byte order", "write be[u16], be[u32] or be[u64]")
        if found.volatile and not isinstance(found.type, (IntType, BoolType)):
            raise TypeProblem(f"{found} is not accessed at once", "mark its integers volatile")
        return found
    return Cell(plain_kind(annotation, pointer_bytes))


def plain_kind(annotation: Any, pointer_bytes: int) -> Type:
    if annotation is words.usize:
        return usize_of(pointer_bytes)
    if isinstance(annotation, type):
        name: str = annotation.__name__
        if name in INTEGERS and vars(words).get(name) is annotation:
            return INTEGERS[name]
        if annotation is bool:
            return BOOL
        if issubclass(annotation, words.Struct):
            return StructType(annotation)
        if annotation is int:
            raise TypeProblem("int has no width", "write u8, u16, u32, u64, usize or a signed type")
        if annotation in {str, bytes}:
            raise TypeProblem(f"{annotation.__name__} is no machine type", "write span[u8]")
    if annotation is None or annotation is type(None):
        return NONE
    if annotation is NoReturn or annotation is typing.Never:
        return NEVER
    return generic_kind(annotation, pointer_bytes)


def generic_kind(annotation: object, pointer_bytes: int) -> Type:
    origin: Any = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Final and arguments:
        return kind_of(arguments[0], pointer_bytes)
    if origin is words.span:
        return SpanType(cell_of(arguments[0], pointer_bytes))
    if origin is words.ptr:
        return PtrType(cell_of(arguments[0], pointer_bytes))
    if origin is words.array:
        raise TypeProblem("an array needs its length here", "write array[u8](512), or a field: array[u8] = length(512)")
    if origin is tuple:
        return TupleType(tuple(kind_of(item, pointer_bytes) for item in arguments))
    if origin is collections.abc.Callable:
        parameters, result = arguments
        return FunctionType(tuple(kind_of(p, pointer_bytes) for p in parameters), kind_of(result, pointer_bytes))
    if origin in {typing.Union, types.UnionType}:
        raise TypeProblem("a union is no machine type", "use two functions, or a struct with a kind field")
    if any(annotation is word for word in (words.span, words.ptr, words.array)):
        name = getattr(annotation, "__name__", "span")
        raise TypeProblem(f"{name} needs the type of its elements", f"write {name}[u8]")
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", repr(annotation))
    raise TypeProblem(f"{text} is no slang type", "use machine integers, bool, structs, span, ptr, array or Callable")


def size_of(kind: Type, pointer_bytes: int) -> int:
    """Bytes that a value of this type takes in memory."""
    match kind:
        case IntType():
            return kind.bits // 8
        case BoolType():
            return 1
        case PtrType() | FunctionType():
            return pointer_bytes
        case SpanType():
            return 2 * pointer_bytes
        case ArrayType():
            return kind.count * size_of(kind.element.type, pointer_bytes)
        case StructType():
            return layout_of(kind.python, pointer_bytes).size
        case _:
            raise TypeProblem(
                f"{kind} has no size in memory", "only integers, bool, structs, arrays, span and ptr have"
            )


def layout_of(struct: type[words.Struct], pointer_bytes: int) -> Layout:
    """Place the fields of a struct: in order and without gaps, but where `at` says otherwise."""
    uncached: Any = struct
    return placed_fields(uncached, pointer_bytes)


@functools.cache
def placed_fields(struct: Any, pointer_bytes: int) -> Layout:
    if struct in UNDERWAY:
        raise TypeProblem(f"{struct.__name__} contains itself", f"refer to it: ptr[{struct.__name__}]")
    UNDERWAY.append(struct)
    try:
        return fields_in_order(struct, pointer_bytes)
    finally:
        UNDERWAY.pop()


UNDERWAY: list[type[words.Struct]] = []
"""The structs that are being laid out, each inside of the one before."""


def fields_in_order(struct: Any, pointer_bytes: int) -> Layout:
    fields: dict[str, Field] = {}
    position = end = 0
    for base in reversed(struct.__mro__):
        if not (issubclass(base, words.Struct) and base is not words.Struct):
            continue
        for name, annotation in field_annotations(base).items():
            specifier = base.__dict__["__slang_specifiers__"].get(name)
            cell = field_cell(name, annotation, specifier, pointer_bytes)
            if isinstance(specifier, words.FieldSpecifier) and specifier.offset is not None:
                position = specifier.offset
            has_default, default = specifier_default(specifier)
            fields[name] = Field(name, cell, position, has_default, default)
            position += size_of(cell.type, pointer_bytes)
            end = max(end, position)
    return Layout(fields, end)


def specifier_default(specifier: object) -> tuple[bool, object]:
    """Whether a field has a default, and which."""
    if specifier is None:
        return False, None
    if isinstance(specifier, words.FieldSpecifier):
        return True, specifier.default
    return True, specifier


def field_annotations(struct: type[words.Struct]) -> dict[str, object]:
    """The annotations of a struct's own body, evaluated; class variables and methods left out."""
    namespace = vars(sys.modules[struct.__module__])
    local = {**namespace, struct.__name__: struct}
    found: dict[str, object] = {}
    for name, annotation in inspect.get_annotations(struct).items():
        value = evaluated(name, annotation, local) if isinstance(annotation, str) else annotation
        if typing.get_origin(value) is not typing.ClassVar:
            found[name] = value
    return found


def evaluated(name: str, annotation: str, namespace: dict[str, object]) -> object:
    try:
        return eval(annotation, namespace)  # noqa: S307 - the user's own source
    except Exception as error:  # noqa: BLE001 - whatever it raises is a finding
        raise TypeProblem(f"the type of {name} cannot be evaluated: {error}", "name a type that is imported") from None


def field_cell(name: str, annotation: object, specifier: object, pointer_bytes: int) -> Cell:
    count = specifier.count if isinstance(specifier, words.FieldSpecifier) else None
    if typing.get_origin(annotation) is words.array:
        if count is None:
            raise TypeProblem(f"{name} has no length", "write: array[u8] = length(3)")
        element = cell_of(typing.get_args(annotation)[0], pointer_bytes)
        return Cell(ArrayType(element, count))
    if count is not None:
        raise TypeProblem(f"{name} has a length but is no array", "write: array[u8] = length(3)")
    return cell_of(annotation, pointer_bytes)

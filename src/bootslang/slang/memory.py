"""Structs, arrays and spans in CPython: views of real bytes, laid out as on the host.

Constants of boot code are made of them at import, and tests lend them to slang functions, which see the same bytes.
"""

from __future__ import annotations

import ctypes
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bootslang.slang import types, words

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST_POINTER_BYTES = 8
S = TypeVar("S", bound=words.Struct)


def install_fields(struct: type[words.Struct]) -> None:
    """Replace the defaults in a struct's body by accessors of its bytes."""
    specifiers: dict[str, object] = {}
    for name in inspect.get_annotations(struct):
        if name.startswith("__"):
            continue
        specifiers[name] = struct.__dict__.get(name)
        setattr(struct, name, FieldAccessor(name))
    cast("Any", struct).__slang_specifiers__ = specifiers


class FieldAccessor:
    """Reads and writes one field of a struct instance."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: words.Struct | None, owner: type[words.Struct]) -> object:
        if instance is None:
            return self
        place = self.place(instance)
        return load(place[0], place[1], view_of(instance).references)

    def __set__(self, instance: words.Struct, value: object) -> None:
        view, cell = self.place(instance)
        store(view, cell, value, view_of(instance).references)

    def place(self, instance: words.Struct) -> tuple[memoryview, types.Cell]:
        field = types.layout_of(type(instance), HOST_POINTER_BYTES).fields[self.name]
        size = types.size_of(field.cell.type, HOST_POINTER_BYTES)
        return view_of(instance).memory[field.offset : field.offset + size], field.cell


class View:
    """A run of bytes, and what has to stay alive with it."""

    def __init__(self, memory: memoryview, references: dict[int, object] | None = None) -> None:
        self.memory = memory
        self.references: dict[int, object] = {} if references is None else references
        """Objects that pointers inside the bytes stand for, by their number there."""
        self.owners: tuple[object, ...] = ()
        """Objects in whose memory the bytes lie."""

    @property
    def address(self) -> int:
        return address_of(self.memory)

    def element(self, owner: words.span[Any]) -> types.Cell:
        generic = getattr(owner, "__orig_class__", None)
        return types.Cell(types.U8) if generic is None else types.cell_of(generic.__args__[0], HOST_POINTER_BYTES)

    def count(self, owner: words.span[Any]) -> int:
        size = types.size_of(self.element(owner).type, HOST_POINTER_BYTES)
        return len(self.memory) // size

    def get(self, owner: words.span[Any], index: int | slice) -> object:
        cell = self.element(owner)
        size = types.size_of(cell.type, HOST_POINTER_BYTES)
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.count(owner))
            part: words.span[Any] = words.span.__new__(words.span)
            part._view = View(self.memory[start * size : stop * size], self.references)  # noqa: SLF001
            if hasattr(owner, "__orig_class__"):
                cast("Any", part).__orig_class__ = owner.__orig_class__
            return part
        return load(self.memory[index * size : (index + 1) * size], cell, self.references)

    def set(self, owner: words.span[Any], index: int | slice, value: object) -> None:
        cell = self.element(owner)
        size = types.size_of(cell.type, HOST_POINTER_BYTES)
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.count(owner))
            self.memory[start * size : stop * size] = bytes(cast("words.span[Any]", value))
            return
        store(self.memory[index * size : (index + 1) * size], cell, value, self.references)


class ArrayView(View):
    """The bytes of an array, made when its element type is known: after the constructor has run."""

    def __init__(self, elements: int | Iterable[Any]) -> None:
        super().__init__(memoryview(b""))
        self.initial: int | list[Any] | None = elements if isinstance(elements, int) else list(elements)

    def materialise(self, owner: words.span[Any]) -> types.Cell:
        cell = super().element(owner)
        if self.initial is not None:
            initial, self.initial = self.initial, None
            size = types.size_of(cell.type, HOST_POINTER_BYTES)
            count = initial if isinstance(initial, int) else len(initial)
            self.memory = memoryview(bytearray(size * count))
            for index, value in enumerate([] if isinstance(initial, int) else initial):
                store(self.memory[index * size : (index + 1) * size], cell, value, self.references)
        return cell

    def element(self, owner: words.span[Any]) -> types.Cell:
        return self.materialise(owner)


def bytes_of(value: words.span[Any]) -> memoryview:
    """The bytes of a span or an array."""
    view = value._view  # noqa: SLF001 - words and memory are two halves of one thing
    if isinstance(view, ArrayView):
        view.materialise(value)
    return view.memory


def generic_element(value: words.span[Any], pointer_bytes: int) -> types.Cell:
    """The element of an array or a span, as a target sees it."""
    generic = getattr(value, "__orig_class__", None)
    return types.Cell(types.U8) if generic is None else types.cell_of(generic.__args__[0], pointer_bytes)


def span_over(view: View, element: types.Cell) -> words.span[Any]:
    """A span of bytes that are there already."""
    made: words.span[Any] = words.span.__new__(words.span)
    made._view = view  # noqa: SLF001 - words and memory are two halves of one thing
    cast("Any", made).__orig_class__ = cast("Any", words.span)[generic_argument(element)]
    return made


def lend(source: words.Bytes | int, count: int) -> View:
    """The view of a span that was made in CPython."""
    del count
    if isinstance(source, int):
        raise words.only_compiled("span(address, count)")
    memory = memoryview(source)
    if memory.ndim != 1 or memory.itemsize != 1 or not memory.contiguous:
        memory = memory.cast("B")
    return View(memory.cast("B") if memory.format != "B" else memory)


def address_of(memory: memoryview) -> int:
    """Where the bytes are; the caller keeps them alive."""
    if memory.nbytes == 0:
        return 16  # nothing is there to be read: any number but 0 will do
    return buffer_address(memory)


class _PyBuffer(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    )


def buffer_address(memory: memoryview) -> int:
    """The address of a buffer, read-only ones included (ctypes' from_buffer refuses those)."""
    buffer = _PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(memory), ctypes.byref(buffer), 0)
    try:
        return int(buffer.buf)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))


def memory_at(address: int, size: int) -> memoryview:
    """The `size` bytes at an address of this process."""
    return memoryview((ctypes.c_uint8 * size).from_address(address)).cast("B")


def view_of(instance: words.Struct) -> View:
    return cast("View", instance.__dict__["_view"])


def view_of_object(value: words.Struct | words.span[Any]) -> View:
    """The bytes of a struct, an array or a span, and what they refer to."""
    if isinstance(value, words.Struct):
        return view_of(value)
    bytes_of(value)
    return value._view  # noqa: SLF001 - words and memory are two halves of one thing


def attach(struct: type[S], view: View) -> S:
    """An instance of `struct` that is the bytes of `view`."""
    instance = struct.__new__(struct)
    instance.__dict__["_view"] = view
    return instance


def zeroed(struct: type[S]) -> S:
    return attach(struct, View(memoryview(bytearray(types.layout_of(struct, HOST_POINTER_BYTES).size))))


def construct(instance: words.Struct, values: dict[str, object]) -> None:
    layout = types.layout_of(type(instance), HOST_POINTER_BYTES)
    instance.__dict__["_view"] = View(memoryview(bytearray(layout.size)))
    for name in values:
        if name not in layout.fields:
            raise TypeError(f"{type(instance).__name__} has no field {name}")
    for field in layout.fields.values():
        value = values.get(field.name, field.default)
        if value is not None:
            setattr(instance, field.name, value)


def overlay(struct: type[S], data: words.span[int]) -> S:
    memory = bytes_of(data)
    size = types.layout_of(struct, HOST_POINTER_BYTES).size
    if len(memory) < size:
        raise words.BootError(f"{len(memory)} bytes are too few for {struct.__name__}, which takes {size}")
    return attach(struct, View(memory[:size]))


def represent(instance: words.Struct) -> str:
    fields = types.layout_of(type(instance), HOST_POINTER_BYTES).fields
    inner = ", ".join(f"{name}={getattr(instance, name)!r}" for name in fields)
    return f"{type(instance).__name__}({inner})"


def load(memory: memoryview, cell: types.Cell, references: dict[int, object]) -> object:
    """Read a value from memory as CPython sees it: numbers by value, structs and arrays as views."""
    kind = cell.type
    match kind:
        case types.IntType():
            return int.from_bytes(memory, "big" if cell.big_endian else "little", signed=kind.signed)
        case types.BoolType():
            return memory[0] != 0
        case types.StructType():
            return attach(kind.python, View(memory, references))
        case types.ArrayType():
            part: words.array[Any] = words.array.__new__(words.array)
            part._view = View(memory, references)  # noqa: SLF001
            cast("Any", part).__orig_class__ = cast("Any", words.array)[generic_argument(kind.element)]
            return part
        case _:
            number = int.from_bytes(memory[:HOST_POINTER_BYTES], "little")
            return references.get(number, number)


def generic_argument(cell: types.Cell) -> Any:
    """The annotation that a cell was made from."""
    kind = cell.type
    match kind:
        case types.IntType():
            base: Any = getattr(words, kind.name)
        case types.StructType():
            base = kind.python
        case types.BoolType():
            base = bool
        case types.SpanType():
            base = cast("Any", words.span)[generic_argument(kind.element)]
        case types.PtrType():
            base = cast("Any", words.ptr)[generic_argument(kind.element)]
        case types.FunctionType():
            from collections.abc import Callable as AnyCallable

            parameters = [generic_argument(types.Cell(parameter)) for parameter in kind.parameters]
            base = AnyCallable[parameters, generic_argument(types.Cell(kind.result))]
        case _:
            base = None
    if cell.big_endian:
        base = cast("Any", words.be)[base]
    return cast("Any", words.volatile)[base] if cell.volatile else base


def store(memory: memoryview, cell: types.Cell, value: Any, references: dict[int, object]) -> None:
    """Write a value into memory; a number that does not fit is a ValueError."""
    kind = cell.type
    match kind:
        case types.IntType():
            number = int(value)
            if not kind.least <= number <= kind.most:
                raise ValueError(f"{number} does not fit {kind}, which holds {kind.least} to {kind.most}")
            memory[:] = number.to_bytes(len(memory), "big" if cell.big_endian else "little", signed=kind.signed)
        case types.BoolType():
            memory[0] = bool(value)
        case types.StructType():
            memory[:] = view_of(value).memory
            references.update(view_of(value).references)
        case types.ArrayType():
            store_array(memory, kind, value, references)
        case types.SpanType():
            number = address_of(bytes_of(value))
            references[number] = value
            memory[:HOST_POINTER_BYTES] = number.to_bytes(HOST_POINTER_BYTES, "little")
            memory[HOST_POINTER_BYTES:] = len(value).to_bytes(HOST_POINTER_BYTES, "little")
        case _:
            number = number_of(value)
            references[number] = value
            memory[:HOST_POINTER_BYTES] = number.to_bytes(HOST_POINTER_BYTES, "little")


@dataclass
class Pointed:
    """A function or an object that pointers in CPython's bytes stand for."""

    value: object
    number: int
    """What is stored: a number of its own, and its address as soon as native code has one."""


POINTED: list[Pointed] = []
FIRST_NUMBER = 0x5_1A26_0000


def pointed_entry(value: object) -> Pointed:
    for entry in POINTED:
        if entry.value is value:
            return entry
    POINTED.append(Pointed(value, FIRST_NUMBER + len(POINTED)))
    return POINTED[-1]


def number_of(value: object) -> int:
    """The number that stands for an object in CPython's bytes."""
    return pointed_entry(value).number


def settle(view: View, value: object, address: int) -> None:
    """Put the real address in place of an object's numbers; CPython goes on to see the object."""
    pointed_entry(value).number = address
    numbers = [number for number, known in view.references.items() if known is value and number != address]
    for number in numbers:
        pattern = number.to_bytes(HOST_POINTER_BYTES, "little")
        while (place := bytes(view.memory).find(pattern)) >= 0:
            view.memory[place : place + HOST_POINTER_BYTES] = address.to_bytes(HOST_POINTER_BYTES, "little")
    view.references[address] = value


def store_array(memory: memoryview, kind: types.ArrayType, value: Any, references: dict[int, object]) -> None:
    size = types.size_of(kind.element.type, HOST_POINTER_BYTES)
    elements = list(value)
    if len(elements) > kind.count:
        raise ValueError(f"{len(elements)} elements do not fit {kind}")
    for index, element in enumerate(elements):
        store(memory[index * size : (index + 1) * size], kind.element, element, references)


def size_of(kind: Any) -> int:
    """`sizeof` in CPython."""
    if isinstance(kind, words.Struct):
        return len(view_of(kind).memory)
    if isinstance(kind, words.span):
        return len(bytes_of(kind))
    return types.size_of(types.kind_of(kind, HOST_POINTER_BYTES), HOST_POINTER_BYTES)


def offset_of(struct: type[words.Struct], field: str) -> int:
    """`offsetof` in CPython."""
    return types.layout_of(struct, HOST_POINTER_BYTES).fields[field].offset


@dataclass(frozen=True)
class Placed:
    """A module-level value that stands in a section of its own name."""

    section: str
    value: object


PLACED: list[Placed] = []


def place(section: str, value: object) -> None:
    PLACED.append(Placed(section, value))


def section_of(value: object) -> str:
    """The section that a value was placed in, or the empty text."""
    return next((placed.section for placed in PLACED if placed.value is value), "")

"""Module-level variables and constants: the bytes of Python objects, laid out for the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bootslang.slang import memory, tree, types, words
from bootslang.slang.emit.lower import Lowering, quoted, text_constant
from bootslang.slang.function import Function

Symbolise = Callable[[Any], str]
"""Gives the symbol of a function or an object that a pointer in the data stands for."""


class Data:
    """Writes global variables."""

    def __init__(self, lowering: Lowering, symbolise: Symbolise) -> None:
        self.lowering = lowering
        self.symbolise = symbolise

    def global_variable(self, variable: tree.Variable, *, public: bool = False) -> str:
        pieces = self.pieces(variable.value, types.Cell(variable.type))
        kind, initial = self.initialiser(pieces)
        empty = initial == "zeroinitializer"
        family = "rodata" if variable.constant else "bss" if empty else "data"
        section = variable.section or f".{family}.{variable.symbol}"
        place = "" if self.lowering.target == "host" else f', section "{section}"'
        linkage = "" if variable.section or public else "internal "
        word = "constant" if variable.constant else "global"
        return f"{quoted(variable.symbol)} = {linkage}{word} {kind} {initial}{place}, align {variable.aligned}"

    def initialiser(self, pieces: list[bytes | str]) -> tuple[str, str]:
        """The type and the initial value of data made of bytes and pointers."""
        if all(isinstance(piece, bytes) for piece in pieces):
            data = b"".join(piece for piece in pieces if isinstance(piece, bytes))
            kind = f"[{len(data)} x i8]"
            return kind, text_constant(data) if any(data) else "zeroinitializer"
        kinds, values = [], []
        for piece in merged(pieces):
            if isinstance(piece, bytes):
                kinds.append(f"[{len(piece)} x i8]")
                values.append(f"{kinds[-1]} {text_constant(piece)}")
            else:
                kinds.append("ptr")
                values.append(f"ptr {piece}")
        return f"<{{{', '.join(kinds)}}}>", f"<{{{', '.join(values)}}}>"

    def pieces(self, value: Any, cell: types.Cell) -> list[bytes | str]:
        """A value as a row of bytes and pointers."""
        kind = cell.type
        match kind:
            case types.IntType():
                order = "big" if cell.big_endian else "little"
                return [int(value).to_bytes(kind.bits // 8, "big" if order == "big" else "little", signed=kind.signed)]
            case types.BoolType():
                return [bytes([bool(value)])]
            case types.StructType():
                return self.struct_pieces(value, kind)
            case types.ArrayType(element, count):
                return self.array_pieces(value, element, count)
            case types.SpanType():
                if isinstance(value, int):
                    return [bytes(2 * self.lowering.pointer_bytes)]
                return [self.symbolise(value), len(value).to_bytes(self.lowering.pointer_bytes, "little")]
            case _:
                return self.pointer_pieces(value)

    def pointer_pieces(self, value: Any) -> list[bytes | str]:
        if isinstance(value, int):
            return [value.to_bytes(self.lowering.pointer_bytes, "little")]
        return [self.symbolise(value)]

    def struct_pieces(self, value: Any, kind: types.StructType) -> list[bytes | str]:
        layout = types.layout_of(kind.python, self.lowering.pointer_bytes)
        result: list[bytes | str] = []
        position = 0
        for field in sorted(layout.fields.values(), key=lambda field: field.offset):
            if field.offset > position:
                result.append(bytes(field.offset - position))
            if field.offset < position:
                continue  # a field over another, by `at`: the same bytes
            result += self.pieces(getattr(value, field.name), field.cell)
            position = field.offset + types.size_of(field.cell.type, self.lowering.pointer_bytes)
        if layout.size > position:
            result.append(bytes(layout.size - position))
        return result

    def array_pieces(self, value: Any, element: types.Cell, count: int) -> list[bytes | str]:
        if isinstance(element.type, types.IntType) and element.type.name != "usize":
            return [bytes(memory.bytes_of(value))]
        result: list[bytes | str] = []
        for index in range(count):
            result += self.pieces(value[index], element)
        return result


def merged(pieces: list[bytes | str]) -> list[bytes | str]:
    result: list[bytes | str] = []
    for piece in pieces:
        if isinstance(piece, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += piece
        elif piece:
            result.append(piece)
    return result


def pointed_functions(value: Any) -> list[Function]:
    """The functions that pointers in an object's bytes stand for."""
    if not isinstance(value, (words.Struct, words.span)):
        return []
    return [item for item in memory.view_of_object(value).references.values() if isinstance(item, Function)]

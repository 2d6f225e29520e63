"""The words with a meaning of their own: Python's `len`, slang's `sizeof`, the machine's `inb`."""

from __future__ import annotations

import ast
import builtins
import types as python_types
from typing import Any

from bootslang.slang import intrinsics, tree, types, words
from bootslang.slang.check.assembly import Assemblies
from bootslang.slang.check.scope import Comptime, Problem

MACHINE: dict[Any, tuple[tuple[str, ...], str]] = {
    intrinsics.inb: (("u16",), "u8"),
    intrinsics.inw: (("u16",), "u16"),
    intrinsics.inl: (("u16",), "u32"),
    intrinsics.outb: (("u16", "u8"), "None"),
    intrinsics.outw: (("u16", "u16"), "None"),
    intrinsics.outl: (("u16", "u32"), "None"),
    intrinsics.read_tsc: ((), "u64"),
    intrinsics.read_msr: (("u32",), "u64"),
    intrinsics.write_msr: (("u32", "u64"), "None"),
    intrinsics.read_cr0: ((), "usize"),
    intrinsics.read_cr2: ((), "usize"),
    intrinsics.read_cr3: ((), "usize"),
    intrinsics.read_cr4: ((), "usize"),
    intrinsics.write_cr0: (("usize",), "None"),
    intrinsics.write_cr3: (("usize",), "None"),
    intrinsics.write_cr4: (("usize",), "None"),
    intrinsics.pause: ((), "None"),
    intrinsics.halt: ((), "NoReturn"),
}
"""Intrinsics whose arguments and results are plain: their types by name."""


class Vocabulary(Assemblies):
    """What each word becomes."""

    # What they have in common

    def arguments(self, node: ast.Call, count: int, what: str) -> list[ast.expr]:
        if len(node.args) != count or node.keywords:
            plural = "argument" if count == 1 else "arguments"
            given = f"{len(node.args) + len(node.keywords)} given"
            raise Problem(node, f"{what} takes {count} {plural} without names, {given}", "see docs/slang.md")
        return node.args

    def as_span(self, value: tree.Expression, node: ast.AST) -> tree.Expression:
        if isinstance(value.type, types.ArrayType):
            return self.coerce(value, types.SpanType(value.type.element), node)
        if not isinstance(value.type, types.SpanType):
            raise Problem(node, f"this is {value.type}, and a span is needed", "span[u8](address, count) makes one")
        return value

    def refuse_empty(self, cell: types.Cell, node: ast.AST) -> None:
        if self.size_of(cell.type, node) == 0:
            raise Problem(node, f"{cell} has no bytes", "cast to an element of one byte or more")

    def convert(self, node: ast.AST, kind: types.Type, value: tree.Expression) -> tree.Expression:
        """`u8(x)`: an explicit conversion between integers; constants wrap."""
        assert isinstance(kind, types.IntType)
        if isinstance(value, Comptime) and isinstance(value.value, int):
            wrapped = value.value & ((1 << kind.bits) - 1)
            if kind.signed and wrapped >> (kind.bits - 1):
                wrapped -= 1 << kind.bits
            return tree.Constant(self.location(node), kind, wrapped)
        value = self.runtime(value, node)
        if not isinstance(value.type, (types.IntType, types.BoolType)):
            raise Problem(node, f"{value.type} is no number", self.conversion_hint(value.type, kind))
        return value if value.type == kind else tree.Convert(self.location(node), kind, value)

    def compile_time_call(self, node: ast.Call, value: Any) -> tree.Expression:
        """Any other Python function: run now, if all that it is given is known now."""
        shown = getattr(value, "__name__", repr(value))
        if not callable(value):
            raise Problem(node.func, f"{shown} cannot be called", "only functions and types can")
        arguments = [self.expression(argument) for argument in node.args]
        keywords = {keyword.arg or "": self.expression(keyword.value) for keyword in node.keywords}
        if not all(isinstance(argument, Comptime) for argument in [*arguments, *keywords.values()]):
            hint = "mark it @fn" if isinstance(value, python_types.FunctionType) else "see docs/slang.md"
            raise Problem(node, f"{shown} is a Python function, and its arguments are not known at compile time", hint)
        try:
            result = value(
                *(argument.value for argument in arguments if isinstance(argument, Comptime)),
                **{name: item.value for name, item in keywords.items() if isinstance(item, Comptime)},
            )
        except Exception as error:  # noqa: BLE001 - the user's own function
            raise Problem(node, f"{shown} failed at compile time: {type(error).__name__}: {error}") from None
        return self.comptime(result, node)

    def compile_time_builtin(self, node: ast.Call) -> tree.Expression:
        return self.compile_time_call(node, getattr(builtins, node.func.id if isinstance(node.func, ast.Name) else ""))

    # Python's words

    def length_of(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "len")
        value = self.expression(argument)
        if isinstance(value, Comptime):
            return self.compile_time_call(node, len)
        if isinstance(value.type, types.ArrayType):
            return self.comptime(value.type.count, node)
        if not isinstance(value.type, types.SpanType):
            raise Problem(argument, f"{value.type} has no length", "sizeof(…) is its size in bytes")
        return tree.SpanLength(self.location(node), self.usize, value)

    def least_or_most(self, node: ast.Call) -> tree.Expression:
        name = node.func.id if isinstance(node.func, ast.Name) else "min"
        values = [self.expression(argument) for argument in node.args]
        if len(values) < 2 or node.keywords:
            raise Problem(node, f"{name} takes two numbers or more", "a loop finds that of a span")
        if all(isinstance(value, Comptime) for value in values):
            return self.compile_time_call(node, getattr(builtins, name))
        found = values[0]
        for value in values[1:]:
            left, right = self.unify(found, value, node)
            if not isinstance(left.type, types.IntType) or left.type != right.type:
                raise Problem(node, f"{name} takes integers, this is {left.type} and {right.type}", "convert them")
            found = tree.Intrinsic(self.location(node), left.type, name, [left, right])
        return found

    def absolute(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "abs")
        value = self.expression(argument)
        if isinstance(value, Comptime):
            return self.compile_time_call(node, abs)
        if not isinstance(value.type, types.IntType) or not value.type.signed:
            raise Problem(argument, f"abs takes a signed integer, this is {value.type}", "leave abs out")
        return tree.Intrinsic(self.location(node), value.type, "abs", [value])

    def misplaced_print(self, node: ast.Call) -> tree.Expression:
        raise Problem(node, "print gives nothing back", "let it stand in a line of its own")

    # Slang's words

    def sizeof(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "sizeof")
        found = self.expression(argument)
        kind = self.cell(found.value, argument).type if isinstance(found, Comptime) else found.type
        return self.comptime(self.size_of(kind, argument), node)

    def offsetof(self, node: ast.Call) -> tree.Expression:
        struct, name = (self.constant(a, "what offsetof takes") for a in self.arguments(node, 2, "offsetof"))
        if not isinstance(struct, type) or not issubclass(struct, words.Struct):
            raise Problem(node, "offsetof takes a struct and a field's name", 'write offsetof(Header, "magic")')
        self.size_of(types.StructType(struct), node)
        fields = types.layout_of(struct, self.around.pointer_bytes).fields
        if name not in fields:
            raise Problem(node, f"{struct.__name__} has no field {name}", f"it has {', '.join(fields) or 'none'}")
        return self.comptime(fields[name].offset, node)

    def place_of(self, node: ast.expr) -> tree.Expression:
        """An expression that has an address: a struct, an array, a function, a field, an element, a variable."""
        found = self.expression(node)
        if isinstance(found, Comptime):
            return self.runtime(found, node)
        if isinstance(found, tree.Load):
            return tree.AddressOf(found.location, types.PtrType(found.place.cell), found.place)
        if isinstance(found.type, (types.StructType, types.ArrayType, types.PtrType, types.FunctionType)):
            return found
        if isinstance(found.type, types.SpanType):
            return self.span_address(found)
        raise Problem(node, "this has no address", "a struct, an array, a function, a field or an element has")

    def address(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "address")
        return tree.Convert(self.location(node), self.usize, self.place_of(argument))

    def offset(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "offset")
        number = tree.Convert(self.location(node), self.usize, self.place_of(argument))
        return tree.Convert(self.location(node), types.U16, number)

    def cast(self, node: ast.Call) -> tree.Expression:
        first, second = self.arguments(node, 2, "cast")
        try:
            kind = types.kind_of(self.constant(first, "the type"), self.around.pointer_bytes)
        except types.TypeProblem as problem:
            raise Problem(first, problem.message, problem.hint) from None
        value = self.expression(second)
        if not isinstance(kind, (types.FunctionType, types.PtrType, types.StructType)):
            raise Problem(first, f"cast makes pointers, {kind} is none", f"write {kind}(…)")
        if isinstance(value, Comptime) and isinstance(value.value, int):
            value = self.coerce(value, self.usize, second)
        value = self.runtime(value, second)
        if isinstance(value.type, types.IntType):
            value = self.coerce(value, self.usize, second)
        return tree.Convert(self.location(node), kind, value)

    def linked(self, node: ast.Call) -> tree.Expression:
        first, second = self.arguments(node, 2, "linked")
        cell = self.cell(self.constant(first, "the element type"), first)
        name = self.constant(second, "the name of the set")
        self.refuse_empty(cell, first)
        kind = types.SpanType(cell)
        start = tree.SymbolAddress(self.location(node), types.PtrType(cell), f"__start_set_{name}")
        stop = tree.SymbolAddress(self.location(node), types.PtrType(cell), f"__stop_set_{name}")
        begin = tree.Convert(self.location(node), self.usize, start)
        end = tree.Convert(self.location(node), self.usize, stop)
        length = tree.Binary(self.location(node), self.usize, "-", end, begin)
        size = tree.Constant(self.location(node), self.usize, self.size_of(cell.type, node))
        count = tree.Binary(self.location(node), self.usize, "//", length, size)
        return tree.SpanMake(self.location(node), kind, start, count)

    def text(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "text")
        literal = self.constant(argument, "the text")
        if not isinstance(literal, str):
            raise Problem(argument, "text takes a string constant", 'write text("…")')
        return tree.TextConstant(self.location(node), types.SpanType(types.Cell(types.U8)), literal.encode())

    def checked(self, node: ast.Call) -> tree.Expression:
        (argument,) = self.arguments(node, 1, "checked")
        found = self.expression(argument)
        if isinstance(found, Comptime):
            return found
        return self.check_inside(argument, found)

    def check_inside(self, node: ast.AST, found: tree.Expression) -> tree.Expression:
        """Mark every sum, difference and product of an expression as checked."""
        if not isinstance(found, tree.Binary) or found.op not in {"+", "-", "*"}:
            raise Problem(node, "checked takes a sum, a difference or a product", "write checked(a + b)")
        self.mark_checked(found)
        return found

    def mark_checked(self, found: tree.Expression) -> None:
        if isinstance(found, tree.Binary):
            found.checked = found.op in {"+", "-", "*"}
            self.mark_checked(found.left)
            self.mark_checked(found.right)
        elif isinstance(found, tree.Convert):
            self.mark_checked(found.operand)

    # The machine's words

    def cpuid(self, node: ast.Call) -> tree.Expression:
        if not 1 <= len(node.args) <= 2:
            message = f"cpuid takes a leaf and perhaps a subleaf, {len(node.args)} arguments given"
            raise Problem(node, message, "write cpuid(7, 1)")
        arguments = [self.value(argument, types.U32) for argument in node.args]
        if len(arguments) == 1:
            arguments.append(tree.Constant(self.location(node), types.U32, 0))
        return tree.Intrinsic(self.location(node), types.TupleType((types.U32,) * 4), "cpuid", arguments)

    def rotate(self, node: ast.Call) -> tree.Expression:
        name = node.func.id if isinstance(node.func, ast.Name) else "rotate_left"
        first, second = self.arguments(node, 2, name)
        value = self.value(first)
        if not isinstance(value.type, types.IntType) or value.type.signed:
            raise Problem(first, f"{name} takes an unsigned integer, this is {value.type}", "write u32(…)")
        count = self.convert(second, value.type, self.expression(second))
        return tree.Intrinsic(self.location(node), value.type, name, [value, count])

    def machine_intrinsic(self, node: ast.Call, function: Any) -> tree.Expression:
        names, result = MACHINE[function]
        nodes = self.arguments(node, len(names), function.__name__)
        arguments = [self.value(argument, self.plain_type(name)) for argument, name in zip(nodes, names, strict=True)]
        return tree.Intrinsic(self.location(node), self.plain_type(result), function.__name__, arguments)

    def plain_type(self, name: str) -> types.Type:
        fixed: dict[str, types.Type] = {"None": types.NONE, "NoReturn": types.NEVER, "usize": self.usize}
        return fixed.get(name) or types.INTEGERS[name]

"""Expressions: names and constants, fields, elements, slices."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import Any

from bootslang.slang import tree, types, words
from bootslang.slang.check.operators import Operators
from bootslang.slang.check.scope import Comptime, Problem

NOT_SLANG: dict[type[ast.AST], tuple[str, str]] = {
    ast.ListComp: ("a comprehension builds a list at run time", "write a loop, or compute it at module level"),
    ast.SetComp: ("a comprehension builds a set at run time", "write a loop, or compute it at module level"),
    ast.DictComp: ("a comprehension builds a dict at run time", "write a loop, or compute it at module level"),
    ast.GeneratorExp: ("a generator needs a heap", "write a loop, or compute it at module level"),
    ast.List: ("a list needs a heap", "make an array at module level, or array[u8](count) here"),
    ast.Dict: ("a dict needs a heap", "make an array at module level and index it"),
    ast.Set: ("a set needs a heap", "compare the values one by one"),
    ast.Lambda: ("a lambda has no typed parameters", "define a function marked @fn"),
    ast.Await: ("boot code has no event loop", "poll in a loop"),
    ast.Yield: ("a generator needs a heap", "return the values, or call a function for each"),
    ast.YieldFrom: ("a generator needs a heap", "return the values, or call a function for each"),
    ast.NamedExpr: ("an assignment inside an expression", "assign in a statement of its own"),
    ast.JoinedStr: ("an f-string is only for print, BootError and asm", 'use text("…") for constant text'),
    ast.Starred: ("a starred expression has no fixed length", "write the arguments one by one"),
}


class Expressions(Operators):
    """Values."""

    def expression(self, node: ast.expr) -> tree.Expression:
        """Check an expression; what is known at compile time comes back as a Comptime."""
        match node:
            case ast.Constant():
                return self.comptime(node.value, node)
            case ast.Name():
                return self.name(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.BoolOp():
                return self.logic(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.IfExp():
                return self.choice(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Subscript():
                return self.subscript(node)
            case ast.Tuple():
                return self.tuple_of(node)
            case ast.Call():
                return self.call(node)
            case _:
                message, hint = NOT_SLANG.get(type(node), ("this expression is not part of slang", "see docs/slang.md"))
                raise Problem(node, message, hint)

    def call(self, node: ast.Call) -> tree.Expression:
        raise NotImplementedError

    def value(self, node: ast.expr, want: types.Type | None = None) -> tree.Expression:
        """An expression that exists at run time; coerced where a type is wanted."""
        found = self.choice(node, want) if isinstance(node, ast.IfExp) else self.expression(node)
        return self.runtime(found, node) if want is None else self.coerce(found, want, node)

    def constant(self, node: ast.expr, what: str) -> Any:
        """A value that has to be known at compile time."""
        found = self.expression(node)
        if isinstance(found, Comptime):
            return found.value
        raise Problem(node, f"{what} has to be known at compile time", "use a constant expression")

    def tuple_of(self, node: ast.Tuple) -> tree.Expression:
        parts = [self.expression(item) for item in node.elts]
        if all(isinstance(part, Comptime) for part in parts):
            return self.comptime(tuple(part.value for part in parts if isinstance(part, Comptime)), node)
        items = [self.runtime(part, item) for part, item in zip(parts, node.elts, strict=True)]
        return tree.MakeTuple(self.location(node), types.TupleType(tuple(item.type for item in items)), items)

    # Fields, elements, slices

    def attribute(self, node: ast.Attribute) -> tree.Expression:
        if isinstance(node.value, ast.Name) and node.value.id in self.assembly_results:
            return self.register(node, node.value.id)
        base = self.expression(node.value)
        if isinstance(base, Comptime):
            return self.comptime_attribute(node, base)
        match base.type:
            case types.StructType():
                return self.load(self.field_place(node, base), node)
            case types.SpanType() | types.ArrayType() if node.attr == "address":
                address = self.span_address(base)
                return tree.Convert(self.location(node), self.usize, address)
            case types.PtrType() if node.attr == "address":
                return tree.Convert(self.location(node), self.usize, base)
            case _:
                raise Problem(node, f"{base.type} has no attribute {node.attr}", self.attribute_hint(base.type))

    def register(self, node: ast.Attribute, name: str) -> tree.Expression:
        full_name = f"{name}.{node.attr}"
        if full_name not in self.assigned:
            raise Problem(node, f"{name} may not have a value here", "give it one on every way that leads here")
        local = self.locals[full_name]
        return tree.LocalValue(self.location(node), local.type, local)

    def attribute_hint(self, kind: types.Type) -> str:
        match kind:
            case types.SpanType() | types.ArrayType():
                return "a span has .address, .cast(T), .fill(value); len(span) is its length"
            case types.PtrType():
                return "a pointer has .address, .cast(T), .span(count)"
            case _:
                return "only structs, spans, arrays and pointers have attributes"

    def span_address(self, base: tree.Expression) -> tree.Expression:
        """The address of the first element of a span or an array, as a pointer."""
        assert isinstance(base.type, (types.SpanType, types.ArrayType))
        pointer = types.PtrType(base.type.element)
        if isinstance(base.type, types.ArrayType):
            return tree.Convert(base.location, pointer, base)
        return tree.SpanAddress(base.location, pointer, base)

    def comptime_attribute(self, node: ast.Attribute, base: Comptime) -> tree.Expression:
        value = base.value
        if isinstance(value, words.Target):
            known = {"bits": self.around.bits, "host": self.around.target == "host", "name": self.around.target}
            if node.attr not in known:
                raise Problem(node, f"target has no attribute {node.attr}", "it has bits, host and name")
            return self.comptime(known[node.attr], node)
        if isinstance(value, ModuleType):
            if node.attr not in vars(value):
                raise Problem(node, f"{value.__name__} has no {node.attr}", "define it there")
            return self.member(value, node.attr, node)
        try:
            return self.comptime(getattr(value, node.attr), node)
        except AttributeError:
            shown = getattr(value, "__name__", type(value).__name__)
            raise Problem(node, f"{shown} has no attribute {node.attr}", "see its definition") from None

    def field_place(self, node: ast.Attribute, base: tree.Expression) -> tree.Place:
        assert isinstance(base.type, types.StructType)
        try:
            fields = types.layout_of(base.type.python, self.around.pointer_bytes).fields
        except types.TypeProblem as problem:
            raise Problem(node, f"{base.type} is no valid struct: {problem.message}", problem.hint) from None
        if node.attr not in fields:
            import difflib

            close = difflib.get_close_matches(node.attr, fields, 1)
            hint = f"did you mean {close[0]}?" if close else f"its fields are {', '.join(fields)}"
            raise Problem(node, f"{base.type} has no field {node.attr}", hint)
        field = fields[node.attr]
        return tree.Place(self.location(node), field.cell.type, base, field.cell, field.offset)

    def subscript(self, node: ast.Subscript) -> tree.Expression:
        base = self.expression(node.value)
        if isinstance(base, Comptime):
            return self.comptime_subscript(node, base)
        if isinstance(base.type, types.TupleType):
            index = self.constant(node.slice, "the index into a tuple")
            if not isinstance(index, int) or not 0 <= index < len(base.type.items):
                raise Problem(node.slice, f"the tuple has {len(base.type.items)} items", "count from 0")
            return tree.TupleItem(self.location(node), base.type.items[index], base, index)
        if isinstance(node.slice, ast.Slice):
            return self.slice(node, base, node.slice)
        return self.load(self.element_place(node, base), node)

    def comptime_subscript(self, node: ast.Subscript, base: Comptime) -> tree.Expression:
        if isinstance(base.value, type):
            return self.comptime(self.evaluate(node), node)
        index = self.expression(node.slice)
        if not isinstance(index, Comptime):
            raise Problem(node, "a Python sequence cannot be indexed at run time", "make it an array")
        try:
            return self.comptime(base.value[index.value], node)
        except Exception as error:  # noqa: BLE001 - the user's own constants
            raise Problem(node, f"this cannot be computed at compile time: {error}", "change the constants") from None

    def index(self, node: ast.expr, count: int | None) -> tree.Expression:
        """An index: unsigned, and a constant one below the count where that is known."""
        found = self.expression(node)
        if isinstance(found, Comptime):
            if not isinstance(found.value, int):
                raise Problem(node, "an index is an integer", "count from 0")
            if found.value < 0:
                raise Problem(node, "an index counts from the start", "write s[len(s) - 1] for the last element")
        found = self.runtime(found, node)
        if count is not None and isinstance(found, tree.Constant) and found.value >= count:
            hint = f"0 to {count - 1} exist" if count else "there is none"
            raise Problem(node, f"index {found.value} is outside of {count} elements", hint)
        if not isinstance(found.type, types.IntType) or found.type.signed:
            raise Problem(node, f"an index is unsigned, this is {found.type}", "write usize(…)")
        return found

    def element_place(self, node: ast.Subscript, base: tree.Expression) -> tree.Place:
        match base.type:
            case types.PtrType(element):
                index = self.coerce(self.expression(node.slice), self.usize, node.slice)
                size = self.size_of(element.type, node)
                address: tree.Expression = tree.ElementAddress(self.location(node), base.type, base, index, size)
            case types.ArrayType(element, count):
                index = self.index(node.slice, count)
                span = self.coerce(base, types.SpanType(element), node)
                address = self.element_address(node, span, index, element)
            case types.SpanType(element):
                index = self.index(node.slice, tree.known_length(base))
                address = self.element_address(node, base, index, element)
            case _:
                raise Problem(node, f"{base.type} has no elements", "only arrays, spans and pointers have")
        return tree.Place(self.location(node), element.type, address, element)

    def element_address(
        self, node: ast.AST, span: tree.Expression, index: tree.Expression, element: types.Cell
    ) -> tree.Expression:
        size = self.size_of(element.type, node)
        return tree.CheckedElement(self.location(node), types.PtrType(element), span, index, size)

    def slice(self, node: ast.Subscript, base: tree.Expression, part: ast.Slice) -> tree.Expression:
        if part.step is not None:
            raise Problem(part.step, "a span has no steps", "slice, then index with a factor")
        if isinstance(base.type, types.ArrayType):
            base = self.coerce(base, types.SpanType(base.type.element), node)
        if not isinstance(base.type, types.SpanType):
            raise Problem(node, f"{base.type} cannot be sliced", "make a span of it: pointer.span(count)")
        zero = tree.Constant(self.location(node), self.usize, 0)
        start = zero if part.lower is None else self.index(part.lower, None)
        stop = None if part.upper is None else self.index(part.upper, None)
        length = self.constant_length(part, start, stop)
        self.refuse_outside(node, base, start, stop, length)
        size = self.size_of(base.type.element.type, node)
        return tree.Slice(self.location(node), base.type, base, start, stop, length, size)

    def constant_length(self, part: ast.Slice, start: tree.Expression, stop: tree.Expression | None) -> int | None:
        """How long a slice is where that is known: `s[2:6]`, `s[at:at + 8]`."""
        if isinstance(start, tree.Constant) and isinstance(stop, tree.Constant):
            if stop.value < start.value:
                raise Problem(part.upper or part, "this slice ends before it starts", "swap its bounds")
            return stop.value - start.value
        match part.upper:
            case ast.BinOp(left=left, op=ast.Add(), right=right) if part.lower is not None:
                if ast.dump(left) == ast.dump(part.lower) and tree.is_plain(start):
                    count = self.expression(right)
                    if isinstance(count, Comptime) and isinstance(count.value, int):
                        return count.value
        return None

    def refuse_outside(
        self,
        node: ast.AST,
        base: tree.Expression,
        start: tree.Expression,
        stop: tree.Expression | None,
        length: int | None,
    ) -> None:
        """A constant slice that can be seen to lie outside of its span."""
        whole = tree.known_length(base)
        first = start.value if isinstance(start, tree.Constant) else 0
        last = stop.value if isinstance(stop, tree.Constant) else first + (length or 0)
        if whole is not None and last > whole:
            raise Problem(node, f"this slice ends at {last}, outside of {whole} elements", f"write {whole} at most")

"""Calls: functions, methods, constructors, conversions; the words themselves are `vocabulary`'s."""

from __future__ import annotations

import ast
import types as python_types
import typing
from typing import Any

from bootslang.slang import intrinsics, memory, tree, types, words
from bootslang.slang.check.scope import Comptime, Problem, signature_of
from bootslang.slang.check.vocabulary import MACHINE, Vocabulary
from bootslang.slang.function import Function
from bootslang.slang.source import definition_of

if typing.TYPE_CHECKING:
    from collections.abc import Callable

MOST_ELEMENTS = 1 << 24


class Calls(Vocabulary):
    """Everything with parentheses."""

    def call(self, node: ast.Call) -> tree.Expression:
        if isinstance(node.func, ast.Attribute):
            method = self.method(node, node.func)
            if method is not None:
                return method
        callee = self.expression(node.func)
        if not isinstance(callee, Comptime):
            return self.call_pointer(node, callee)
        value = callee.value
        if isinstance(value, Function):
            return self.call_function(node, value, [])
        special = self.special(value)
        if special is not None:
            return special(node)
        if isinstance(value, python_types.FunctionType) and value in MACHINE:
            return self.machine_intrinsic(node, value)
        if isinstance(value, type):
            return self.call_type(node, value)
        if typing.get_origin(value) in {words.span, words.ptr, words.array}:
            return self.call_generic(node, value)
        return self.compile_time_call(node, value)

    def special(self, value: object) -> Callable[[ast.Call], tree.Expression] | None:
        """Words with a meaning of their own."""
        table: dict[object, Callable[[ast.Call], tree.Expression]] = {
            len: self.length_of,
            min: self.least_or_most,
            max: self.least_or_most,
            abs: self.absolute,
            ord: self.compile_time_builtin,
            words.sizeof: self.sizeof,
            words.offsetof: self.offsetof,
            words.address: self.address,
            words.offset: self.offset,
            words.cast: self.cast,
            words.linked: self.linked,
            intrinsics.asm: self.asm,
            intrinsics.text: self.text,
            intrinsics.checked: self.checked,
            intrinsics.cpuid: self.cpuid,
            intrinsics.rotate_left: self.rotate,
            intrinsics.rotate_right: self.rotate,
            print: self.misplaced_print,
        }
        try:
            return table.get(value)
        except TypeError:
            return None

    # Functions

    def call_function(self, node: ast.Call, function: Function, first: list[tree.Expression]) -> tree.Expression:
        self.around.want(function)
        parameters, result = signature_of(function, self.around, node)
        given: dict[str, tree.Expression] = {name: value for (name, _), value in zip(parameters, first, strict=False)}
        rest = parameters[len(first) :]
        if len(node.args) > len(rest):
            self.wrong_count(node, function, len(rest))
        for (name, kind), argument in zip(rest, node.args, strict=False):
            given[name] = self.value(argument, kind)
        by_name = dict(parameters)
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg not in by_name or keyword.arg in given:
                message = f"{function.__name__} has no parameter {keyword.arg} left to fill"
                raise Problem(keyword.value, message, "see its def")
            given[keyword.arg] = self.value(keyword.value, by_name[keyword.arg])
        defaults = self.defaults(function)
        for name, kind in parameters:
            if name not in given and name in defaults:
                given[name] = self.coerce(self.comptime(defaults[name], node), kind, node)
            elif name not in given:
                self.wrong_count(node, function, len(rest))
        ordered = [given[name] for name, _ in parameters]
        made = tree.Call(self.location(node), result, function, ordered)
        return self.in_written_order(node, given, ordered, made)

    def in_written_order(
        self, node: ast.Call, given: dict[str, tree.Expression], ordered: list[tree.Expression], made: tree.Expression
    ) -> tree.Expression:
        """Evaluate keyword arguments in the order in which they are written, where that could be told apart."""
        written = list(given.values())
        if written == ordered or all(tree.is_plain(value) for value in written):
            return made
        bindings: list[tuple[tree.Local, tree.Expression]] = []
        for value in written:
            local = self.temporary(value.type, node)
            bindings.append((local, value))
            self.replace(ordered, value, tree.LocalValue(value.location, local.type, local))
        return tree.Bind(self.location(node), made.type, bindings, made)

    def replace(self, values: list[tree.Expression], old: tree.Expression, new: tree.Expression) -> None:
        for index, value in enumerate(values):
            if value is old:
                values[index] = new

    def defaults(self, function: Function) -> dict[str, object]:
        arguments = definition_of(function)[1].args
        positional: tuple[object, ...] = function.python.__defaults__ or ()
        names = [argument.arg for argument in arguments.args]
        found: dict[str, object] = dict(zip(names[len(names) - len(positional) :], positional, strict=True))
        found.update(function.python.__kwdefaults__ or {})
        return found

    def wrong_count(self, node: ast.Call, function: Function, count: int) -> None:
        given = len(node.args) + len(node.keywords)
        plural = "argument" if count == 1 else "arguments"
        raise Problem(node, f"{function.__name__} takes {count} {plural}, {given} given", "see its def")

    def call_pointer(self, node: ast.Call, callee: tree.Expression) -> tree.Expression:
        if not isinstance(callee.type, types.FunctionType):
            raise Problem(node.func, f"{callee.type} cannot be called", "only functions and Callable values can")
        kinds = callee.type.parameters
        nodes = self.arguments(node, len(kinds), str(callee.type))
        arguments = [self.value(argument, kind) for argument, kind in zip(nodes, kinds, strict=True)]
        return tree.CallPointer(self.location(node), callee.type.result, callee, arguments)

    def method(self, node: ast.Call, name: ast.Attribute) -> tree.Expression | None:
        """Methods of structs, spans and pointers; None where the attribute is something else."""
        if isinstance(name.value, ast.Name) and name.value.id in self.assembly_results:
            return None
        base = self.expression(name.value)
        if isinstance(base, Comptime):
            value = base.value
            if isinstance(value, type) and issubclass(value, words.Struct) and name.attr in {"of", "at", "zeroed"}:
                return self.struct_method(node, value, name.attr)
            return None
        match base.type:
            case types.StructType(python):
                found = getattr(python, name.attr, None)
                if isinstance(found, Function):
                    return self.call_function(node, found, [base])
                return None
            case types.SpanType() | types.ArrayType() if name.attr in {"cast", "fill"}:
                return self.span_method(node, name.attr, base)
            case types.PtrType() if name.attr in {"cast", "span"}:
                return self.pointer_method(node, name.attr, base)
            case _:
                return None

    def struct_method(self, node: ast.Call, struct: type[words.Struct], name: str) -> tree.Expression:
        kind = types.StructType(struct)
        self.size_of(kind, node)
        if name == "zeroed":
            self.arguments(node, 0, f"{kind}.zeroed")
            return tree.MakeStruct(self.location(node), kind, [])
        (argument,) = self.arguments(node, 1, f"{kind}.{name}")
        value = self.expression(argument)
        if name == "at":
            if isinstance(value.type, types.PtrType) and not isinstance(value, Comptime):
                return tree.Convert(self.location(node), kind, value)
            return tree.Convert(self.location(node), kind, self.coerce(value, self.usize, argument))
        value = self.as_span(self.runtime(value, argument), argument)
        assert isinstance(value.type, types.SpanType)
        element = self.size_of(value.type.element.type, argument)
        return tree.Overlay(self.location(node), kind, value, element)

    def span_method(self, node: ast.Call, name: str, base: tree.Expression) -> tree.Expression:
        (argument,) = self.arguments(node, 1, f"span.{name}")
        base = self.as_span(base, node)
        assert isinstance(base.type, types.SpanType)
        old = base.type.element
        if name == "fill":
            if not isinstance(old.type, (types.IntType, types.BoolType)):
                raise Problem(node, f"{old} cannot fill a span", "assign the elements in a loop")
            value = self.value(argument, old.type)
            return tree.Intrinsic(self.location(node), types.NONE, "fill", [base, value])
        cell = self.cell(self.constant(argument, "the type"), argument)
        kind = types.SpanType(cell)
        self.refuse_empty(cell, argument)
        return tree.SpanCast(
            self.location(node), kind, base, self.size_of(old.type, node), self.size_of(cell.type, node)
        )

    def pointer_method(self, node: ast.Call, name: str, base: tree.Expression) -> tree.Expression:
        (argument,) = self.arguments(node, 1, f"ptr.{name}")
        assert isinstance(base.type, types.PtrType)
        if name == "cast":
            cell = self.cell(self.constant(argument, "the type"), argument)
            return tree.Convert(self.location(node), types.PtrType(cell), base)
        count = self.value(argument, self.usize)
        return tree.SpanMake(self.location(node), types.SpanType(base.type.element), base, count)

    # Types that are called

    def call_type(self, node: ast.Call, value: type) -> tree.Expression:
        if issubclass(value, words.Struct):
            return self.construct(node, value)
        if value is words.BootError:
            raise Problem(node, "a BootError is only raised", 'write raise BootError("…")')
        if value is range and node.args and all(isinstance(self.expression(item), Comptime) for item in node.args):
            return self.compile_time_call(node, range)
        if value in {range, enumerate, reversed, zip}:
            raise Problem(node, f"{value.__name__} stands in a for loop only", "for i in range(…):")
        if value is bool:
            (argument,) = self.arguments(node, 1, "bool")
            return self.truth(self.expression(argument), argument)
        if value is int:
            raise Problem(node, "int has no width", "write u32(…), u64(…) or another machine integer")
        try:
            kind = types.kind_of(value, self.around.pointer_bytes)
        except types.TypeProblem:
            return self.compile_time_call(node, value)
        if not isinstance(kind, types.IntType):
            raise Problem(node, f"{kind} cannot be called", "only functions, machine integers and structs can")
        (argument,) = self.arguments(node, 1, str(kind))
        return self.convert(node, kind, self.expression(argument))

    def construct(self, node: ast.Call, struct: type[words.Struct]) -> tree.Expression:
        kind = types.StructType(struct)
        self.size_of(kind, node)
        fields = types.layout_of(struct, self.around.pointer_bytes).fields
        given: dict[str, tree.Expression] = {}
        if node.args:
            raise Problem(node.args[0], f"the fields of {kind} are given by name", f"{kind}({next(iter(fields))}=…)")
        for keyword in node.keywords:
            field = fields.get(keyword.arg or "")
            if field is None:
                raise Problem(keyword.value, f"{kind} has no field {keyword.arg}", f"it has {', '.join(fields)}")
            given[field.name] = self.value(keyword.value, field.cell.type)
        missing = [f.name for f in fields.values() if f.name not in given and not f.has_default]
        if missing:
            raise Problem(
                node, f"{kind} needs {', '.join(missing)}", f"give every field, or start with {kind}.zeroed()"
            )
        stores = [(fields[name], value) for name, value in given.items()]
        stores += [
            (field, self.coerce(self.comptime(field.default, node), field.cell.type, node))
            for field in fields.values()
            if field.name not in given and field.default is not None and field.default != 0
        ]
        if all(tree.is_plain(value) for _, value in stores):
            stores.sort(key=lambda one: one[0].offset)
        return tree.MakeStruct(self.location(node), kind, stores)

    def call_generic(self, node: ast.Call, generic: Any) -> tree.Expression:
        origin = typing.get_origin(generic)
        cell = self.cell(typing.get_args(generic)[0], node)
        if origin is words.array:
            return self.local_array(node, cell)
        if origin is words.ptr:
            (argument,) = self.arguments(node, 1, "ptr")
            return tree.Convert(self.location(node), types.PtrType(cell), self.address_value(argument))
        first, second = self.arguments(node, 2, f"span[{cell}]")
        count = self.value(second, self.usize)
        return tree.SpanMake(self.location(node), types.SpanType(cell), self.address_value(first), count)

    def address_value(self, node: ast.expr) -> tree.Expression:
        """A number or a pointer that is to be an address."""
        value = self.expression(node)
        if not isinstance(value, Comptime) and isinstance(value.type, types.PtrType):
            return value
        return self.coerce(value, self.usize, node)

    def local_array(self, node: ast.Call, cell: types.Cell) -> tree.Expression:
        (argument,) = self.arguments(node, 1, f"array[{cell}]")
        found = self.constant(argument, "the number of elements")
        if isinstance(found, int):
            self.size_of(cell.type, node)
            if not 0 <= found <= MOST_ELEMENTS:
                raise Problem(argument, f"an array of {found} elements", f"0 to {MOST_ELEMENTS} fit the stack")
            return tree.MakeArray(self.location(node), types.ArrayType(cell, found))
        generic: Any = words.array
        python = generic[self.evaluate_generic(node)]
        try:
            python = python(found)
            memory.bytes_of(python)
        except Exception as error:  # noqa: BLE001 - the user's own constants
            hint = f"array[{cell}](10) starts as zeros, array[{cell}]((1, 2, 3)) holds numbers"
            raise Problem(argument, f"no array[{cell}] can be made of this: {error}", hint) from None
        data = self.anonymous(python, node)
        assert isinstance(data, tree.VariableAddress)
        return tree.MakeArray(self.location(node), data.type, data.variable)

    def evaluate_generic(self, node: ast.Call) -> Any:
        return typing.get_args(self.constant(node.func, "the array's type"))[0]

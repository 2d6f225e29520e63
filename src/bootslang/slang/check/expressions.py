"""Expressions: operators, comparisons, fields, elements, slices."""

from __future__ import annotations

import ast
import operator
from types import ModuleType
from typing import Any, NoReturn

from bootslang.slang import tree, types, words
from bootslang.slang.check.scope import Comptime, Problem, Scope

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
FOLDED: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Invert: operator.invert,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
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


class Expressions(Scope):
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

    # Operators

    def fold(self, node: ast.AST, kind: type[ast.AST], *operands: Comptime) -> tree.Expression:
        try:
            return self.comptime(FOLDED[kind](*(operand.value for operand in operands)), node)
        except Exception as error:  # noqa: BLE001 - the user's own constants
            raise Problem(node, f"this cannot be computed at compile time: {error}", "change the constants") from None

    def binary(self, node: ast.BinOp) -> tree.Expression:
        return self.operate(node, node.op, self.expression(node.left), self.expression(node.right), node.right)

    def operate(
        self, node: ast.AST, operation: ast.operator, left: tree.Expression, right: tree.Expression, right_node: ast.AST
    ) -> tree.Expression:
        if isinstance(left, Comptime) and isinstance(right, Comptime):
            return self.fold(node, type(operation), left, right)
        op = OPERATORS.get(type(operation))
        if op is None:
            return self.unknown_operator(node, operation)
        if op in {"<<", ">>"}:
            return self.shift(node, op, left, right, right_node)
        if op == "+" and isinstance(left.type, types.PtrType) and not isinstance(left, Comptime):
            return self.pointer_plus(node, left, right, right_node)
        if op in {"&", "|", "^"}:
            left, right = self.wrapped_mask(left, right), self.wrapped_mask(right, left)
        left, right = self.unify(left, right, node)
        bits_of_truth = left.type == types.BOOL and op in {"&", "|", "^"}
        if left.type != right.type or not (isinstance(left.type, types.IntType) or bits_of_truth):
            raise Problem(node, f"{op} is not defined for {left.type} and {right.type}", "it takes two integers")
        if op in {"//", "%"} and isinstance(right, tree.Constant) and right.value == 0:
            raise Problem(right_node, "this divides by zero", "divide by something else")
        return tree.Binary(self.location(node), left.type, op, left, right)

    def wrapped_mask(self, mask: tree.Expression, other: tree.Expression) -> tree.Expression:
        """`x & ~7`: a negative constant beside an unsigned number means its bits."""
        if isinstance(mask, Comptime) and isinstance(mask.value, int) and isinstance(other.type, types.IntType):
            kind = other.type
            if not isinstance(other, Comptime) and not kind.signed and -(1 << kind.bits) <= mask.value < 0:
                return Comptime(mask.location, mask.type, mask.value + (1 << kind.bits))
        return mask

    def unknown_operator(self, node: ast.AST, operation: ast.operator) -> NoReturn:
        hints = {
            ast.Div: ("/ gives a fraction, which boot code does not have", "write //"),
            ast.Pow: ("** is for constants", "multiply, or shift for powers of two"),
            ast.MatMult: ("there are no matrices here", "write *"),
        }
        raise Problem(node, *hints[type(operation)])

    def shift(
        self, node: ast.AST, op: str, left: tree.Expression, right: tree.Expression, right_node: ast.AST
    ) -> tree.Expression:
        left = self.runtime(left, node)
        if not isinstance(left.type, types.IntType):
            raise Problem(node, f"{left.type} cannot be shifted", "only integers can")
        if isinstance(right, Comptime) and isinstance(right.value, int) and not 0 <= right.value < left.type.bits:
            raise Problem(
                right_node, f"{left.type} cannot be shifted by {right.value}", f"0 to {left.type.bits - 1} fit"
            )
        right = self.runtime(right, right_node, types.U8)
        if not isinstance(right.type, types.IntType) or right.type.signed:
            raise Problem(right_node, f"a shift count is unsigned, this is {right.type}", "write u32(…)")
        return tree.Binary(self.location(node), left.type, op, left, right)

    def pointer_plus(
        self, node: ast.AST, left: tree.Expression, right: tree.Expression, right_node: ast.AST
    ) -> tree.Expression:
        assert isinstance(left.type, types.PtrType)
        index = self.coerce(right, self.usize, right_node)
        size = self.size_of(left.type.element.type, node)
        return tree.ElementAddress(self.location(node), left.type, left, index, size)

    def unary(self, node: ast.UnaryOp) -> tree.Expression:
        operand = self.expression(node.operand)
        if isinstance(operand, Comptime):
            return self.fold(node, type(node.op), operand)
        match node.op:
            case ast.Not():
                return tree.Not(self.location(node), types.BOOL, self.truth(operand, node.operand))
            case ast.Invert() if isinstance(operand.type, types.IntType):
                return tree.Invert(self.location(node), operand.type, operand)
            case ast.USub() if isinstance(operand.type, types.IntType):
                return tree.Negate(self.location(node), operand.type, operand)
            case ast.UAdd() if isinstance(operand.type, types.IntType):
                return operand
            case _:
                raise Problem(node, f"this operator is not defined for {operand.type}", "it takes an integer")

    def truth(self, value: tree.Expression, node: ast.AST) -> tree.Expression:
        """A condition: a truth value, a number that is not zero, a span that is not empty."""
        value = self.runtime(value, node)
        if value.type == types.BOOL:
            return value
        if isinstance(value.type, types.SpanType):
            value = tree.SpanLength(value.location, self.usize, value)
        if isinstance(value.type, types.IntType):
            return tree.Truth(value.location, types.BOOL, value)
        raise Problem(node, f"{value.type} is neither true nor false", "compare it with something")

    def condition(self, node: ast.expr) -> tree.Expression:
        """A condition; a compile-time one comes back as a Comptime bool."""
        found = self.expression(node)
        if isinstance(found, Comptime):
            return self.comptime(bool(found.value), node)
        return self.truth(found, node)

    def logic(self, node: ast.BoolOp) -> tree.Expression:
        decisive = isinstance(node.op, ast.Or)
        operands: list[tree.Expression] = []
        for item in node.values:
            operand = self.condition(item)
            if isinstance(operand, Comptime):
                if operand.value != decisive:
                    continue
                if not operands:
                    return operand
                operand = self.runtime(operand, item)
            operands.append(operand)
        if not operands:
            return self.comptime(not decisive, node)
        if len(operands) == 1:
            return operands[0]
        return tree.Logic(self.location(node), types.BOOL, "or" if decisive else "and", operands)

    def comparison(self, node: ast.Compare) -> tree.Expression:
        operands = [node.left, *node.comparators]
        values = [self.expression(item) for item in operands]
        if all(isinstance(value, Comptime) for value in values):
            return self.fold_chain(node, [value for value in values if isinstance(value, Comptime)])
        if len(node.ops) == 1:
            return self.compare(node, node.ops[0], values[0], values[1], operands[1])
        return self.chain(node, operands, values)

    def chain(self, node: ast.Compare, operands: list[ast.expr], values: list[tree.Expression]) -> tree.Expression:
        """`a < b < c`: each operand is evaluated once, from left to right, and only as far as needed."""
        bindings: list[tuple[tree.Local, tree.Expression]] = []
        held: list[tree.Expression] = []
        pairs: list[tree.Expression] = []
        for position, value in enumerate(values):
            if isinstance(value, Comptime):
                held.append(value)
            else:
                local = self.temporary(value.type, operands[position])
                bindings.append((local, value))
                held.append(tree.LocalValue(value.location, local.type, local))
            if position > 0:
                op = node.ops[position - 1]
                pair = self.compare(node, op, held[position - 1], held[position], operands[position])
                pair = self.runtime(pair, node)
                pairs.append(tree.Bind(self.location(node), types.BOOL, bindings, pair))
                bindings = []
        return tree.Logic(self.location(node), types.BOOL, "and", pairs)

    def fold_chain(self, node: ast.Compare, values: list[Comptime]) -> tree.Expression:
        for index, op in enumerate(node.ops):
            result = self.fold(node, type(op), values[index], values[index + 1])
            if isinstance(result, Comptime) and not result.value:
                return result
        return self.comptime(value=True, node=node)

    def compare(
        self, node: ast.AST, operation: ast.cmpop, left: tree.Expression, right: tree.Expression, right_node: ast.AST
    ) -> tree.Expression:
        if isinstance(operation, (ast.In, ast.NotIn)):
            return self.membership(node, operation, left, right, right_node)
        if isinstance(left, Comptime) and isinstance(right, Comptime):
            return self.fold(node, type(operation), left, right)
        op = COMPARISONS.get(type(operation))
        if op is None:
            raise Problem(node, "`is` compares Python objects", "write == or !=")
        left, right = self.unify(left, right, node)
        ordered = isinstance(left.type, types.IntType)
        comparable = ordered or (op in {"==", "!="} and isinstance(left.type, (types.BoolType, types.PtrType)))
        if left.type != right.type or not comparable:
            raise Problem(node, f"{left.type} and {right.type} cannot be compared with {op}", "compare two integers")
        return tree.Compare(self.location(node), types.BOOL, op, left, right)

    def membership(
        self, node: ast.AST, operation: ast.cmpop, left: tree.Expression, right: tree.Expression, right_node: ast.AST
    ) -> tree.Expression:
        """`x in (1, 2, 3)`, with compile-time members: one comparison each."""
        if not isinstance(right, Comptime) or not isinstance(right.value, (tuple, set, frozenset, list, range)):
            raise Problem(right_node, "`in` takes a tuple of constants", "write x in (1, 2, 3), or a loop")
        if not right.value:
            raise Problem(right_node, "nothing is in an empty tuple", "name at least one constant")
        local = self.temporary(left.type, node)
        subject = tree.LocalValue(self.location(node), local.type, local)

        def test(operation: ast.cmpop, member: object) -> tree.Expression:
            return self.compare(node, operation, subject, self.comptime(member, right_node), right_node)

        if isinstance(right.value, range):
            if right.value.step != 1:
                raise Problem(right_node, "a range with a step is no interval", "compare with its bounds, and use %")
            tests = [test(ast.GtE(), right.value[0]), test(ast.LtE(), right.value[-1])]
        else:
            members = sorted(right.value) if isinstance(right.value, (set, frozenset)) else right.value
            tests = [test(ast.Eq(), member) for member in members]
        word = "and" if isinstance(right.value, range) else "or"
        found: tree.Expression = tree.Logic(self.location(node), types.BOOL, word, tests)
        if isinstance(operation, ast.NotIn):
            found = tree.Not(self.location(node), types.BOOL, found)
        return tree.Bind(self.location(node), types.BOOL, [(local, left)], found)

    def choice(self, node: ast.IfExp, want: types.Type | None = None) -> tree.Expression:
        condition = self.condition(node.test)
        if isinstance(condition, Comptime):
            return self.expression(node.body if condition.value else node.orelse)
        yes, no = self.expression(node.body), self.expression(node.orelse)
        if isinstance(yes, Comptime) and isinstance(no, Comptime):
            yes, no = self.runtime(yes, node.body, want), self.runtime(no, node.orelse, want)
        yes, no = self.unify(yes, no, node)
        if isinstance(yes.type, types.ArrayType) and isinstance(no.type, types.ArrayType) and yes.type != no.type:
            want = types.SpanType(yes.type.element)
            yes, no = self.coerce(yes, want, node.body), self.coerce(no, want, node.orelse)
        if yes.type != no.type:
            raise Problem(node, f"the two ways give {yes.type} and {no.type}", "convert one of them")
        return tree.Choose(self.location(node), yes.type, condition, yes, no)

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

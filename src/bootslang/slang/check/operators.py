"""Operators: arithmetic, shifts, comparisons, logic, conditional expressions."""

from __future__ import annotations

import ast
import operator
from typing import Any, NoReturn

from bootslang.slang import tree, types
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


class Operators(Scope):
    """What becomes of operands; constants are folded as Python does it."""

    def expression(self, node: ast.expr) -> tree.Expression:
        raise NotImplementedError

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

"""print and BootError: their texts, taken apart at compile time."""

from __future__ import annotations

import ast
import re

from bootslang.slang import tree, types, words
from bootslang.slang.check.expressions import Expressions
from bootslang.slang.check.scope import Comptime, Problem

FORMAT = re.compile(r"(?P<prefix>#?)(?P<zeros>0?)(?P<width>\d*)(?P<kind>[xdc]?)")
MOST_WIDTH = 20
LAST_KIND = 6
"""Bytes up to this stand for placeholders in message templates: see the run time."""


class Messages(Expressions):
    """Texts with values in them."""

    def print_parts(self, node: ast.Call) -> list[bytes | tree.Part]:
        end = "\n"
        for keyword in node.keywords:
            if keyword.arg != "end":
                raise Problem(keyword.value, f"print has no {keyword.arg} here", 'only end="" is known')
            end = str(self.constant(keyword.value, "the end of the line"))
        if len(node.args) > 1:
            raise Problem(node, "print takes one text", 'put the values into an f-string: print(f"{a} {b}")')
        parts = self.message(node.args[0]) if node.args else []
        return [*parts, end.encode()] if end else parts

    def raise_(self, node: ast.Raise) -> list[tree.Statement]:
        match node.exc:
            case None:
                raise Problem(node, "raise needs an error", 'raise BootError("what failed, where, why")')
            case ast.Call(func=callee, args=[message], keywords=[]):
                found = self.expression(callee)
                if isinstance(found, Comptime) and found.value is words.BootError:
                    parts = self.message(message)
                    self.stop()
                    return [tree.Raise(self.location(node), parts)]
        raise Problem(node, "only BootError can be raised, with one text", 'raise BootError("what failed, where, why")')

    def stop(self) -> None:
        raise NotImplementedError

    def message(self, node: ast.expr) -> list[bytes | tree.Part]:
        if not isinstance(node, ast.JoinedStr):
            found = self.expression(node)
            if isinstance(found, Comptime):
                return self.plain(node, [str(found.value).encode()])
            return [self.part(node, found, "")]
        parts: list[bytes | tree.Part] = []
        for piece in node.values:
            if isinstance(piece, ast.Constant):
                parts.append(str(piece.value).encode())
            elif isinstance(piece, ast.FormattedValue):
                parts.append(self.formatted(piece))
        return self.plain(node, joined(parts))

    def plain(self, node: ast.expr, parts: list[bytes | tree.Part]) -> list[bytes | tree.Part]:
        """Refuse the control characters that mean something inside of message templates."""
        if any(isinstance(part, bytes) and any(byte <= LAST_KIND for byte in part) for part in parts):
            raise Problem(node, "a message holds no control characters below 8", 'write text("…") for such bytes')
        return parts

    def formatted(self, piece: ast.FormattedValue) -> bytes | tree.Part:
        if piece.conversion != -1:
            raise Problem(piece.value, "there is no !r, !s or !a here", "leave it out")
        spec = ""
        if isinstance(piece.format_spec, ast.JoinedStr):
            spec = "".join(str(self.constant(v, "the format")) for v in piece.format_spec.values)
        found = self.expression(piece.value)
        if isinstance(found, Comptime):
            try:
                return format(found.value, spec).encode()
            except (ValueError, TypeError) as error:
                raise Problem(piece.value, f"this cannot be written: {error}", "change the format") from None
        return self.part(piece.value, found, spec)

    def part(self, node: ast.expr, value: tree.Expression, spec: str) -> tree.Part:
        match value.type:
            case types.IntType():
                return self.number(node, value, spec)
            case types.BoolType() if not spec:
                return tree.Part(value, "bool")
            case types.SpanType(types.Cell(types.IntType(name="u8"))) if not spec:
                return tree.Part(value, "text")
            case types.ArrayType(types.Cell(types.IntType(name="u8"))) if not spec:
                return tree.Part(self.coerce(value, types.SpanType(types.Cell(types.U8)), node), "text")
            case types.StructType(python) if python.__name__ == "CaughtError" and not spec:
                place = tree.Place(value.location, types.NONE, value, *self.message_field(python))
                return tree.Part(self.load(place, node), "text")
            case types.PtrType():
                return self.number(node, tree.Convert(value.location, self.usize, value), spec or "#x")
            case _:
                raise Problem(node, f"{value.type} cannot be written", "numbers, truth values and span[u8] can")

    def message_field(self, python: type[words.Struct]) -> tuple[types.Cell, int]:
        field = types.layout_of(python, self.around.pointer_bytes).fields["message"]
        return field.cell, field.offset

    def number(self, node: ast.expr, value: tree.Expression, spec: str) -> tree.Part:
        match = FORMAT.fullmatch(spec)
        if match is None or int(match["width"] or 0) > MOST_WIDTH:
            raise Problem(node, f"the format {spec!r} is not known", "[#][0][width][x|d|c], such as {value:#010x}")
        if match["kind"] == "c":
            return tree.Part(value, "character")
        form = "hex" if match["kind"] == "x" else "decimal"
        if form == "hex" and isinstance(value.type, types.IntType) and value.type.signed:
            hint = f"write {{u{value.type.bits}(…):{spec}}} for its bits"
            raise Problem(node, f"{value.type} is signed, which hexadecimal does not show", hint)
        return tree.Part(value, form, int(match["width"] or 0), bool(match["zeros"]), bool(match["prefix"]))


def joined(parts: list[bytes | tree.Part]) -> list[bytes | tree.Part]:
    """The same with neighbouring texts made one."""
    result: list[bytes | tree.Part] = []
    for part in parts:
        if isinstance(part, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += part
        else:
            result.append(part)
    return result

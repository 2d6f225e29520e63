"""Inline assembly: registers in and out, constants and symbols in the text."""

from __future__ import annotations

import ast
import re
from typing import Any

from bootslang.slang import intrinsics, tree, types, words
from bootslang.slang.check.expressions import Expressions
from bootslang.slang.check.scope import Comptime, Problem
from bootslang.slang.function import Function
from bootslang.slang.machine import REGISTER_NAMES

FLAGS = {"carry": "c", "zero": "z"}
WIDTHS = (types.U64, types.U32, types.U16, types.U8, types.U8)
REGISTER_TYPES: dict[str, types.IntType] = {
    name: kind for names in REGISTER_NAMES.values() for name, kind in zip(names[-len(WIDTHS) :], WIDTHS, strict=False)
}
OTHER_CLOBBERS = {"memory", "flags", "cc"}
NUMBERED = re.compile(r"r(8|9|1[0-5])[dwb]?")
FAMILIES = {name: family for family, names in REGISTER_NAMES.items() for name in names}


class Assemblies(Expressions):
    """`asm(…)`."""

    def asm(self, node: ast.Call) -> tree.Expression:
        """Assembly whose result nobody reads."""
        return self.assemble(node, [])

    def is_asm(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return False
        return vars(self.source.module).get(node.func.id) is intrinsics.asm

    def attribute(self, node: ast.Attribute) -> tree.Expression:
        """`asm("rdtsc").eax`: assembly of which one register is read, at once."""
        if self.is_asm(node.value):
            assert isinstance(node.value, ast.Call)
            whole = self.assemble(node.value, [(node.attr, node)])
            assert isinstance(whole.type, types.TupleType)
            return tree.TupleItem(self.location(node), whole.type.items[0], whole, 0)
        return super().attribute(node)

    def assemble(self, node: ast.Call, outputs: list[tuple[str, ast.AST]]) -> tree.Assembly:
        """Assembly of which the named registers are read afterwards."""
        if len(node.args) != 1:
            raise Problem(node, "asm takes its text, then registers by name", 'asm("int 0x13", ah=0x42)')
        code = self.assembly_text(node.args[0])
        inputs: dict[str, tree.Expression] = {}
        clobbers: list[str] = []
        for keyword in node.keywords:
            if keyword.arg == "clobbers":
                clobbers = self.clobbers(keyword.value)
            else:
                self.assembly_input(keyword, inputs)
        for name, place in outputs:
            if name not in REGISTER_TYPES and name not in FLAGS:
                raise Problem(place, f"{name} is no register", "eax, ax, al, ah, … or the flags carry and zero")
            self.check_width(name, place)
        taken = {FAMILIES[name] for name in [*inputs, *(name for name, _ in outputs)] if name in FAMILIES}
        clobbers = [name for name in clobbers if FAMILIES.get(name) not in taken]
        names = list(dict.fromkeys(name for name, _ in outputs))
        kinds = tuple(types.BOOL if name in FLAGS else REGISTER_TYPES[name] for name in names)
        return tree.Assembly(self.location(node.args[0]), types.TupleType(kinds), code, inputs, names, clobbers)

    def clobbers(self, node: ast.expr) -> list[str]:
        names = str(self.constant(node, "the list of clobbers")).replace(",", " ").split()
        for name in names:
            if name not in REGISTER_TYPES and name not in OTHER_CLOBBERS and not NUMBERED.fullmatch(name):
                raise Problem(node, f"{name} is no register that can be clobbered", '"eax memory", separated by spaces')
            self.check_width(name, node)
        return names

    def assembly_input(self, keyword: ast.keyword, inputs: dict[str, tree.Expression]) -> None:
        name = keyword.arg or ""
        if name not in REGISTER_TYPES:
            raise Problem(keyword.value, f"{name} is no register that asm can fill", "eax, bx, cl, rsi, …")
        self.check_width(name, keyword.value)
        for other in inputs:
            if FAMILIES[other] == FAMILIES[name] and {other[1:], name[1:]} != {"l", "h"}:
                raise Problem(keyword.value, f"{name} is a part of {other}, or it of {name}", "fill one of them")
        kind = REGISTER_TYPES[name]
        value = self.expression(keyword.value)
        if isinstance(value, Comptime) or not isinstance(value.type, types.PtrType):
            value = self.register_value(value, kind, keyword.value)
        else:
            value = tree.Convert(value.location, self.usize, value)
        inputs[name] = value

    def register_value(self, value: tree.Expression, kind: types.IntType, node: ast.AST) -> tree.Expression:
        """A register takes a number of its width; a usize of as many bits as the register fits as well."""
        value = self.runtime(value, node, kind)
        if value.type == self.usize and self.usize.bits == kind.bits:
            return tree.Convert(value.location, kind, value)
        return self.coerce(value, kind, node)

    def check_width(self, name: str, node: ast.AST) -> None:
        wide = NUMBERED.fullmatch(name) or (name in REGISTER_TYPES and REGISTER_TYPES[name].bits == 64)
        if wide and self.around.bits != 64:
            raise Problem(node, f"{name} is a register of 64-bit mode", f"this is compiled for {self.around.target}")

    def assembly_text(self, node: ast.expr) -> list[str | tree.Variable | Function]:
        if not isinstance(node, ast.JoinedStr):
            return [str(self.constant(node, "the assembly text"))]
        parts: list[str | tree.Variable | Function] = []
        for piece in node.values:
            if isinstance(piece, ast.Constant):
                parts.append(str(piece.value))
            elif isinstance(piece, ast.FormattedValue):
                parts.append(self.assembly_piece(piece.value))
        return parts

    def assembly_piece(self, node: ast.expr) -> str | tree.Variable | Function:
        found = self.expression(node)
        if isinstance(found, tree.VariableAddress):
            return found.variable
        if isinstance(found, tree.Load) and isinstance(found.place.address, tree.VariableAddress):
            return found.place.address.variable
        if not isinstance(found, Comptime):
            raise Problem(
                node, "assembly text holds constants, functions and module-level variables", "pass values in registers"
            )
        value: Any = found.value
        if isinstance(value, Function):
            self.around.want(value)
            return value
        if isinstance(value, (words.array, words.Struct)) or callable(value):
            raise Problem(node, "this has no symbol", "name a function marked @fn or a module-level variable")
        return str(value)

"""Assignments: to names, fields, elements, slices; what may be stored where."""

from __future__ import annotations

import ast

from bootslang.slang import tree, types, words
from bootslang.slang.check.calls import Calls
from bootslang.slang.check.messages import Messages
from bootslang.slang.check.scope import Comptime, Problem
from bootslang.slang.source import definition_of


class Assignments(Messages, Calls):
    """Everything with an equals sign."""

    def assign(self, node: ast.Assign) -> list[tree.Statement]:
        if len(node.targets) != 1:
            raise Problem(node, "one assignment, one target", "write two lines")
        target = node.targets[0]
        if isinstance(target, ast.Name) and self.is_asm(node.value):
            assert isinstance(node.value, ast.Call)
            return self.assign_registers(node, target.id, node.value)
        if isinstance(target, ast.Tuple):
            return self.unpack(node, target)
        return self.assign_to(target, node.value, node)

    def assign_registers(self, node: ast.Assign, name: str, call: ast.Call) -> list[tree.Statement]:
        """`after = asm(…)`: the registers that are read as `after.x` anywhere become outputs."""
        if self.known_local(name):
            raise Problem(node, f"{name} is {self.locals[name].type} already", "use another name for the registers")
        definition = definition_of(self.function)[1]
        reads: list[tuple[str, ast.AST]] = [
            (inner.attr, inner)
            for inner in ast.walk(definition)
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == name
        ]
        assembly = self.assemble(call, reads)
        assert isinstance(assembly.type, types.TupleType)
        whole = self.temporary(assembly.type, node)
        statements: list[tree.Statement] = [tree.Assign(self.location(node), whole, assembly)]
        for index, (register, kind) in enumerate(zip(assembly.outputs, assembly.type.items, strict=True)):
            local = self.locals.get(f"{name}.{register}") or self.new_local(f"{name}.{register}", kind, node)
            self.locals[f"{name}.{register}"] = local
            self.assigned.add(f"{name}.{register}")
            source = tree.LocalValue(self.location(node), whole.type, whole)
            item = tree.TupleItem(self.location(node), kind, source, index)
            statements.append(tree.Assign(self.location(node), local, item))
        self.assembly_results.add(name)
        return statements

    def assign_to(self, target: ast.expr, value: ast.expr, node: ast.stmt) -> list[tree.Statement]:
        if isinstance(target, ast.Name) and target.id not in self.declared_global:
            known = self.known_local(target.id)
            found = self.value(value, None if known is None else known.type)
            return [self.assign_local(target, found, node)]
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
            return self.copy_slice(target, value, node)
        place = self.place(target)
        return self.store(place, self.value(value, place.cell.type), node)

    def known_local(self, name: str) -> tree.Local | None:
        """The local of that name; one whose type a mistake has kept unknown may still get one."""
        found = self.locals.get(name)
        return None if found is None or isinstance(found.type, types.NeverType) else found

    def assign_local(self, target: ast.Name, value: tree.Expression, node: ast.stmt) -> tree.Statement:
        if isinstance(value.type, (types.NoneKind, types.NeverType)):
            raise Problem(node, f"this gives {value.type}, which is no value", "call it in a line of its own")
        if target.id in self.assembly_results:
            raise Problem(node, f"{target.id} holds the registers after assembly", "use another name")
        if self.refers_to_own(value):
            self.own_storage.add(target.id)
        else:
            self.own_storage.discard(target.id)
        local = self.known_local(target.id)
        if local is None:
            local = self.new_local(target.id, value.type, target)
            self.locals[target.id] = local
        self.assigned.add(target.id)
        return tree.Assign(self.location(node), local, self.coerce(value, local.type, node))

    def store(self, place: tree.Place, value: tree.Expression, node: ast.stmt) -> list[tree.Statement]:
        return [tree.Store(self.location(node), place, value)]

    def place(self, target: ast.expr) -> tree.Place:
        """Where an assignment stores."""
        match target:
            case ast.Name(id=name):
                variable = self.source.variables[name]
                home = self.source.module.__name__
                value = vars(self.source.module)[name]
                if not isinstance(value, int):
                    raise Problem(target, f"{name} is one struct or array for good", "assign its fields or elements")
                return self.variable_place(home, name, variable, value, target)
            case ast.Attribute():
                return self.attribute_place(target)
            case ast.Subscript():
                base = self.expression(target.value)
                self.refuse_constant(base, target)
                return self.element_place(target, base)
            case _:
                raise Problem(target, "this cannot be assigned to", "a name, a field, an element or a slice can")

    def attribute_place(self, target: ast.Attribute) -> tree.Place:
        base = self.expression(target.value)
        if isinstance(base, Comptime):
            found = self.attribute(target)
            if isinstance(found, tree.Load):
                return found.place
            raise Problem(target, "this is a constant", "declare it as a variable: name: u32 = …")
        if not isinstance(base.type, types.StructType):
            raise Problem(target, f"{base.type} has no fields to assign", self.attribute_hint(base.type))
        self.refuse_constant(base, target)
        return self.field_place(target, base)

    def refuse_constant(self, base: tree.Expression, node: ast.AST) -> None:
        while isinstance(base, tree.AddressOf):
            base = base.place.address
        if isinstance(base, tree.VariableAddress) and base.variable.constant:
            raise Problem(node, "this is constant data", "declare it without Final, and with its type")

    def copy_slice(self, target: ast.Subscript, value: ast.expr, node: ast.stmt) -> list[tree.Statement]:
        destination = self.subscript(target)
        assert isinstance(destination.type, types.SpanType)
        source = self.value(value, destination.type)
        size = self.size_of(destination.type.element.type, node)
        if destination.type.element.volatile:
            raise Problem(node, "volatile elements are copied one by one", "assign them in a loop")
        lengths = tree.known_length(destination), tree.known_length(source)
        if None not in lengths and lengths[0] != lengths[1]:
            raise Problem(node, f"{lengths[1]} elements do not fit {lengths[0]}", "make both slices equally long")
        known = lengths[0] if lengths[0] is not None and lengths[0] == lengths[1] else None
        return [tree.CopySpan(self.location(node), destination, source, size, known)]

    def unpack(self, node: ast.Assign, target: ast.Tuple) -> list[tree.Statement]:
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) == len(target.elts):
            return self.unpack_pairwise(node, target, node.value)
        value = self.value(node.value)
        if not isinstance(value.type, types.TupleType) or len(value.type.items) != len(target.elts):
            message = f"{value.type} cannot be unpacked into {len(target.elts)} names"
            raise Problem(node, message, "name each item of a tuple")
        whole = self.temporary(value.type, node)
        statements: list[tree.Statement] = [tree.Assign(self.location(node), whole, value)]
        for index, (item, kind) in enumerate(zip(target.elts, value.type.items, strict=True)):
            source = tree.LocalValue(self.location(node), whole.type, whole)
            statements += self.assign_value(item, tree.TupleItem(self.location(node), kind, source, index), node)
        return statements

    def unpack_pairwise(self, node: ast.Assign, target: ast.Tuple, values: ast.Tuple) -> list[tree.Statement]:
        """`a, b = b, a`: all values are taken before the first is stored."""
        statements: list[tree.Statement] = []
        held: list[tree.Expression] = []
        for item, name in zip(values.elts, target.elts, strict=True):
            known = self.known_local(name.id) if isinstance(name, ast.Name) else None
            value = self.value(item, None if known is None else known.type)
            local = self.temporary(value.type, item)
            statements.append(tree.Assign(self.location(node), local, value))
            held.append(tree.LocalValue(value.location, local.type, local))
        for name, value in zip(target.elts, held, strict=True):
            statements += self.assign_value(name, value, node)
        return statements

    def assign_value(self, target: ast.expr, value: tree.Expression, node: ast.stmt) -> list[tree.Statement]:
        if isinstance(target, ast.Name) and target.id not in self.declared_global:
            return [self.assign_local(target, value, node)]
        place = self.place(target)
        return self.store(place, self.coerce(value, place.cell.type, node), node)

    def declare(self, node: ast.AnnAssign) -> list[tree.Statement]:
        if not isinstance(node.target, ast.Name):
            raise Problem(node, "only names are declared", "leave the annotation out")
        if node.value is None:
            raise Problem(node, f"{node.target.id} has no value", "give it one: every name has a value from the start")
        annotation = self.evaluate(node.annotation)
        if getattr(annotation, "__origin__", None) is words.array:
            return self.assign_to(node.target, node.value, node)
        kind = self.kind(node.annotation)
        known = self.known_local(node.target.id)
        if known is not None and known.type != kind:
            raise Problem(node, f"{node.target.id} is {known.type} already", "use another name")
        value = self.value(node.value, kind)
        if known is None:
            self.locals[node.target.id] = self.new_local(node.target.id, kind, node.target)
        return [self.assign_local(node.target, value, node)]

    def augmented(self, node: ast.AugAssign) -> list[tree.Statement]:
        if isinstance(node.target, ast.Name) and node.target.id not in self.declared_global:
            current = self.name(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
            value = self.operate(node, node.op, current, self.expression(node.value), node.value)
            return [self.assign_local(node.target, self.coerce(value, current.type, node.value), node)]
        place = self.place(node.target)
        pointer = types.PtrType(place.cell)
        local = self.temporary(pointer, node)
        take = tree.Assign(self.location(node), local, tree.AddressOf(place.location, pointer, place))
        held = tree.LocalValue(place.location, pointer, local)
        again = tree.Place(place.location, place.cell.type, held, place.cell)
        value = self.operate(node, node.op, self.load(again, node), self.expression(node.value), node.value)
        return [take, *self.store(again, self.coerce(value, place.cell.type, node.value), node)]

    def refers_to_own(self, value: tree.Expression) -> bool:
        """Whether a value refers to a struct or an array that lives on this function's stack."""
        match value:
            case tree.MakeStruct() | tree.MakeArray():
                return True
            case tree.LocalValue(local=local):
                return local.name in self.own_storage
            case tree.AddressOf(place=place):
                return self.refers_to_own(place.address)
            case tree.SpanMake(address=inner) | tree.ElementAddress(base=inner) | tree.TupleItem(base=inner):
                return self.refers_to_own(inner)
            case tree.Slice(span=inner) | tree.SpanCast(span=inner) | tree.Overlay(span=inner):
                return self.refers_to_own(inner)
            case tree.CheckedElement(span=inner) | tree.SpanAddress(span=inner) | tree.Bind(body=inner):
                return self.refers_to_own(inner)
            case tree.Convert(operand=inner, type=kind):
                return not isinstance(kind, types.IntType) and self.refers_to_own(inner)
            case tree.Load(place=tree.Place(address=tree.LocalValue() as inner)):
                return inner.type == types.StructType(self.error_struct()) and self.refers_to_own(inner)
            case tree.Choose(yes=yes, no=no):
                return self.refers_to_own(yes) or self.refers_to_own(no)
            case tree.MakeTuple(items=items):
                return any(self.refers_to_own(item) for item in items)
            case _:
                return False

    def error_struct(self) -> type[words.Struct]:
        from bootslang.slang.runtime import CaughtError

        return CaughtError

"""Statements: returns, branches, loops, tries, and which names have a value after them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from bootslang.slang import tree, types, words
from bootslang.slang.check.assignments import Assignments
from bootslang.slang.check.scope import Comptime, Problem

if TYPE_CHECKING:
    from collections.abc import Callable


NOT_SLANG: dict[type[ast.stmt], tuple[str, str]] = {
    ast.With: ("with needs objects that clean up", "call what has to be called, on every way out"),
    ast.Match: ("match is not part of slang", "write if and elif"),
    ast.Delete: ("del has nothing to free", "leave it out"),
    ast.FunctionDef: ("a function inside a function would be a closure", "define it at module level, marked @fn"),
    ast.ClassDef: ("a class inside a function", "define the struct at module level"),
    ast.Import: ("an import inside a function", "import at the top of the module"),
    ast.ImportFrom: ("an import inside a function", "import at the top of the module"),
    ast.Assert: ("an assert has no message that a user would understand", 'write: if not …: raise BootError("…")'),
    ast.AsyncFor: ("boot code has no event loop", "poll in a loop"),
    ast.AsyncWith: ("boot code has no event loop", "poll in a loop"),
    ast.AsyncFunctionDef: ("boot code has no event loop", "poll in a loop"),
    ast.Nonlocal: ("there are no closures", "use a module-level variable and global"),
    ast.TryStar: ("there are no exception groups", "write except BootError"),
}


class Statements(Assignments):
    """The body of a function."""

    result: types.Type = types.NONE
    loops: int = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reachable = True
        self.breaks: list[set[str] | None] = []
        """For each loop around: what is assigned at its breaks (None: no break seen)."""

    def block(self, body: list[ast.stmt]) -> list[tree.Statement]:
        statements: list[tree.Statement] = []
        for node in body:
            try:
                statements += self.statement(node)
            except Problem as problem:
                self.report(problem)
                self.assume_assigned(node)
                if isinstance(node, (ast.Return, ast.Raise)):
                    self.stop()
        return statements

    def assume_assigned(self, node: ast.stmt) -> None:
        """After a finding: names that the statement would have assigned bring no further findings."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                self.locals.setdefault(inner.id, self.new_local(inner.id, types.NEVER, inner))
                self.assigned.add(inner.id)
        if isinstance(node, ast.Global):
            for name in node.names:
                self.locals.setdefault(name, self.new_local(name, types.NEVER, node))
                self.assigned.add(name)

    def statement(self, node: ast.stmt) -> list[tree.Statement]:
        handlers: dict[type[ast.stmt], Callable[[Any], list[tree.Statement]]] = {
            ast.Expr: self.expression_statement,
            ast.Assign: self.assign,
            ast.AnnAssign: self.declare,
            ast.AugAssign: self.augmented,
            ast.If: self.if_,
            ast.While: self.while_,
            ast.For: self.for_,
            ast.Return: self.return_,
            ast.Break: self.break_,
            ast.Continue: self.continue_,
            ast.Raise: self.raise_,
            ast.Try: self.try_,
            ast.Global: self.global_,
            ast.Pass: lambda _: [],
        }
        handler = handlers.get(type(node))
        if handler is None:
            raise Problem(
                node, *NOT_SLANG.get(type(node), ("this statement is not part of slang", "see docs/slang.md"))
            )
        return handler(node)

    # Simple statements

    def expression_statement(self, node: ast.Expr) -> list[tree.Statement]:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return []
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "print":
            return [tree.Print(self.location(node), self.print_parts(node.value))]
        value = self.expression(node.value)
        if isinstance(value, Comptime):
            if value.value is None and isinstance(node.value, ast.Call):
                return []
            raise Problem(node, "this has no effect", "assign it, or leave it out")
        if isinstance(value.type, types.NeverType):
            self.stop()
        return [tree.Evaluate(self.location(node), value)]

    def stop(self) -> None:
        """Nothing after this is reached: every name counts as assigned."""
        self.reachable = False
        self.assigned = set(self.locals) | self.assigned

    def global_(self, node: ast.Global) -> list[tree.Statement]:
        for name in node.names:
            variable = self.source.variables.get(name)
            if variable is None:
                raise Problem(node, f"{name} is no module-level variable", f"write {name}: u32 = 0 at the top")
            value = vars(self.source.module).get(name)
            if isinstance(value, int) and not self.is_mutable(self.source.module.__name__, variable):
                raise Problem(node, f"{name} is a constant", f"declare it {name}: u32 = …, without Final")
            self.declared_global.add(name)
        return []

    def return_(self, node: ast.Return) -> list[tree.Statement]:
        value: tree.Expression | None = None
        if isinstance(self.result, types.NeverType):
            raise Problem(node, "this function never returns", "leave the return out")
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            if isinstance(self.result, types.NoneKind):
                raise Problem(node, "this function returns None", "write its result type after ->")
            value = self.returned(node.value)
            if self.refers_to_own(value):
                raise Problem(
                    node.value,
                    "this lies on the stack of this function, which ends here",
                    "let the caller pass it in and fill it",
                )
        elif not isinstance(self.result, types.NoneKind):
            raise Problem(node, f"this function returns {self.result}", "return a value of that type")
        self.stop()
        return [tree.Return(self.location(node), value)]

    def returned(self, node: ast.expr) -> tree.Expression:
        if isinstance(node, ast.Tuple) and isinstance(self.result, types.TupleType):
            kinds = self.result.items
            if len(kinds) != len(node.elts):
                message = f"this returns {len(node.elts)} values, {len(kinds)} are declared"
                raise Problem(node, message, "change one of them")
            items = [self.value(item, kind) for item, kind in zip(node.elts, kinds, strict=True)]
            return tree.MakeTuple(self.location(node), self.result, items)
        return self.value(node, self.result)

    def break_(self, node: ast.Break) -> list[tree.Statement]:
        before = self.breaks[-1]
        self.breaks[-1] = set(self.assigned) if before is None else before & self.assigned
        self.stop()
        return [tree.Break(self.location(node))]

    def continue_(self, node: ast.Continue) -> list[tree.Statement]:
        self.stop()
        return [tree.Continue(self.location(node))]

    # Ways through

    def branch(self, body: list[ast.stmt], *given: str) -> tuple[list[tree.Statement], set[str], bool]:
        """Check a block that may or may not be entered; what it assigned, and whether its end is reached.

        `given` are names that have a value in the block.
        """
        before, reached, own = set(self.assigned), self.reachable, set(self.own_storage)
        self.assigned |= set(given)
        statements = self.block(body)
        result = statements, self.assigned, self.reachable
        self.assigned, self.reachable = before, reached
        self.own_storage |= own
        return result

    def join(self, *ways: tuple[set[str], bool]) -> None:
        reached = [assigned for assigned, reachable in ways if reachable]
        if reached:
            self.assigned = set.intersection(*reached)
        else:
            self.stop()

    def if_(self, node: ast.If) -> list[tree.Statement]:
        condition = self.condition(node.test)
        if isinstance(condition, Comptime):
            return self.block(node.body if condition.value else node.orelse)
        body, body_assigned, body_reached = self.branch(node.body)
        orelse, else_assigned, else_reached = self.branch(node.orelse)
        self.join((body_assigned, body_reached), (else_assigned, else_reached))
        return [tree.If(self.location(node), condition, body, orelse)]

    def loop(self, body: list[ast.stmt], orelse: list[ast.stmt], *given: str, endless: bool = False) -> Any:
        """The body and the else of a loop, and what holds after it; `given` are the names that it counts with."""
        self.breaks.append(None)
        inner, _, _ = self.branch(body, *given)
        broken = self.breaks.pop()
        if endless:
            self.join((broken or set(), broken is not None))
            return inner, []
        after, else_assigned, else_reached = self.branch(orelse)
        ways = [(else_assigned, else_reached)]
        if broken is not None:
            ways.append((broken, True))
        self.join(*ways)
        return inner, after

    def while_(self, node: ast.While) -> list[tree.Statement]:
        condition = self.condition(node.test)
        endless = isinstance(condition, Comptime) and bool(condition.value)
        if isinstance(condition, Comptime) and not condition.value:
            return self.block(node.orelse)
        body, orelse = self.loop(node.body, node.orelse, endless=endless)
        return [tree.While(self.location(node), self.runtime(condition, node.test), body, orelse)]

    def for_(self, node: ast.For) -> list[tree.Statement]:
        iterated = node.iter
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name):
            match iterated.func.id:
                case "range":
                    return self.for_range(node, iterated, backwards=False)
                case "reversed":
                    inner = iterated.args[0] if iterated.args else None
                    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "range":
                        return self.for_range(node, inner, backwards=True)
                    raise Problem(iterated, "reversed takes a range", "for i in reversed(range(n)): … s[i]")
                case "enumerate":
                    return self.for_enumerate(node, iterated)
                case "zip":
                    raise Problem(iterated, "zip is not part of slang", "for i in range(min(len(a), len(b))):")
        return self.for_span(node, node.target, None, iterated)

    def for_enumerate(self, node: ast.For, call: ast.Call) -> list[tree.Statement]:
        match node.target:
            case ast.Tuple(elts=[ast.Name() as index, ast.Name() as item]) if len(call.args) == 1:
                return self.for_span(node, item, index, call.args[0])
            case _:
                raise Problem(node, "enumerate gives an index and an element", "for i, x in enumerate(span):")

    def for_span(
        self, node: ast.For, target: ast.expr, index: ast.Name | None, iterated: ast.expr
    ) -> list[tree.Statement]:
        if not isinstance(target, ast.Name):
            raise Problem(target, "a loop counts with a plain name", "for entry in table:")
        found = self.expression(iterated)
        if isinstance(found, Comptime):
            raise Problem(
                iterated, "a Python sequence cannot be walked at run time", "make it an array: array[u32]((…))"
            )
        span = self.as_span(found, iterated)
        assert isinstance(span.type, types.SpanType)
        cell = span.type.element
        local = self.loop_local(target, cell.type)
        counter = None if index is None else self.loop_local(index, self.usize)
        names = [name.id for name in (target, index) if name is not None]
        if self.refers_to_own(span) and isinstance(cell.type, (types.StructType, types.ArrayType)):
            self.own_storage.add(target.id)
        if tree.known_length(span):
            self.assigned |= set(names)
        body, orelse = self.loop(node.body, node.orelse, *names)
        size = self.size_of(cell.type, node)
        return [tree.ForSpan(self.location(node), local, counter, span, cell, size, body, orelse)]

    def loop_local(self, target: ast.Name, kind: types.Type) -> tree.Local:
        known = self.known_local(target.id)
        if known is not None and known.type != kind:
            raise Problem(target, f"{target.id} is {known.type} already, here it would be {kind}", "use another name")
        if known is None:
            known = self.new_local(target.id, kind, target)
            self.locals[target.id] = known
        self.own_storage.discard(target.id)
        return known

    def for_range(self, node: ast.For, call: ast.Call, *, backwards: bool) -> list[tree.Statement]:
        if not isinstance(node.target, ast.Name):
            raise Problem(node.target, "a loop counts with a plain name", "for i in range(n):")
        if not 1 <= len(call.args) <= 3 or call.keywords:
            raise Problem(call, "range takes one to three numbers", "range(start, stop, step)")
        start, stop, step = self.range_bounds(call)
        if backwards and step != 1:
            raise Problem(call, "a reversed range has no step", "compute the index from a plain one")
        assert isinstance(start.type, types.IntType)
        self.fit(step, start.type, call)
        local = self.loop_local(node.target, start.type)
        counter = self.temporary(start.type, node)
        if isinstance(start, tree.Constant) and isinstance(stop, tree.Constant) and start.value < stop.value:
            self.assigned.add(node.target.id)
        body, orelse = self.loop(node.body, node.orelse, node.target.id)
        direction = -1 if backwards else step
        if backwards:
            start, stop = stop, start
        return [tree.ForRange(self.location(node), local, counter, start, stop, direction, body, orelse, backwards)]

    def range_bounds(self, call: ast.Call) -> tuple[tree.Expression, tree.Expression, int]:
        values = [self.expression(argument) for argument in call.args]
        step = 1
        if len(values) == 3:
            third = values.pop()
            if not isinstance(third, Comptime) or not isinstance(third.value, int) or third.value < 1:
                raise Problem(call.args[2], "a step is a constant above 0", "for a way down: reversed(range(…))")
            step = third.value
        nodes = call.args[: len(values)]
        if len(values) == 1:
            values.insert(0, self.comptime(0, call))
            nodes = [call.args[0], call.args[0]]
        start, stop = self.unify(values[0], values[1], call)
        start, stop = self.runtime(start, nodes[0]), self.runtime(stop, nodes[1])
        if not isinstance(start.type, types.IntType) or start.type != stop.type:
            raise Problem(call, f"range takes integers, this is {start.type} and {stop.type}", "convert them")
        return start, stop, step

    def try_(self, node: ast.Try) -> list[tree.Statement]:
        if node.finalbody:
            raise Problem(node, "there is no finally", "write what has to be done after the try")
        if node.orelse:
            raise Problem(node, "there is no else after except", "write it at the end of the try")
        if len(node.handlers) != 1:
            raise Problem(node, "one try, one except", "write one except BootError:")
        handler = node.handlers[0]
        caught = None if handler.type is None else self.expression(handler.type)
        if not isinstance(caught, Comptime) or caught.value is not words.BootError:
            raise Problem(handler, "only BootError can be caught", "write except BootError:")
        body, body_assigned, body_reached = self.branch(node.body)
        message: tree.Local | None = None
        if handler.name is not None:
            kind = types.StructType(self.error_struct())
            message = self.locals.get(handler.name) or self.new_local(handler.name, kind, handler)
            self.locals[handler.name] = message
            self.own_storage.add(handler.name)
        given = [] if handler.name is None else [handler.name]
        handling, handler_assigned, handler_reached = self.branch(handler.body, *given)
        handler_assigned -= set(given)
        self.join((body_assigned, body_reached), (handler_assigned, handler_reached))
        return [tree.Try(self.location(node), body, handling, message)]

"""Whole functions: signatures, bodies, naked functions. `check_function` is the way into the checker."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from bootslang.slang import tree, types
from bootslang.slang.check.scope import Problem, Surroundings, signature_of
from bootslang.slang.check.statements import Statements
from bootslang.slang.source import definition_of

if TYPE_CHECKING:
    from bootslang.slang.diagnostics import Location
    from bootslang.slang.function import Function


def check_function(function: Function, around: Surroundings) -> tree.Body | None:
    """Check one function; findings go to `around`. None where its signature is already wrong."""
    source, definition = definition_of(function)
    checker = Statements(around, source, function)
    try:
        parameters, result = signature_of(function, around, definition)
    except Problem as problem:
        if problem.hint != "see the other error":
            checker.report(problem)
        return None
    if definition.args.vararg or definition.args.kwarg:
        checker.report(Problem(definition, "a function takes a fixed number of arguments", "name each of them"))
        return None
    checker.result = result
    arguments = [*definition.args.args, *definition.args.kwonlyargs]
    locals_: list[tree.Local] = []
    for index, ((name, kind), argument) in enumerate(zip(parameters, arguments, strict=True)):
        local = tree.Local(name, kind, source.location(argument), index)
        checker.locals[name] = local
        checker.assigned.add(name)
        checker.own_names.add(name)
        locals_.append(local)
    checker.own_names |= names_assigned(definition)
    body = tree.Body(function, function.symbol, source.location(definition), locals_, result)
    body.speed = (function.options.optimize or source.optimize) == "speed" and not around.small
    if function.options.naked:
        body.assembly, body.assembly_location = naked_code(checker, definition)
    else:
        body.statements = checker.block(definition.body)
        if checker.reachable and not isinstance(result, types.NoneKind):
            what = "ends" if isinstance(result, types.NeverType) else f"ends without returning {result}"
            checker.report(Problem(definition, f"{definition.name} {what} on some way", "return or raise on every way"))
    body.locals = checker.all_locals
    return body


def names_assigned(definition: ast.FunctionDef) -> set[str]:
    """Every name that a function gives a value to, anywhere."""
    found: set[str] = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def naked_code(
    checker: Statements, definition: ast.FunctionDef
) -> tuple[list[str | tree.Variable | Function], Location]:
    """The assembly of a naked function: one asm statement, after the docstring if there is one."""
    statements = [s for s in definition.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    location = checker.location(definition)
    match statements:
        # `return asm(…).eax` says where the result is, and `halt()` behind it that there is none, to type checkers.
        case [
            ast.Expr(value=ast.Call() as call) | ast.Return(value=ast.Attribute(value=ast.Call() as call)),
            *rest,
        ] if not rest or ends_with_halt(rest):
            try:
                return checker.assemble(call, []).code, checker.location(call.args[0])
            except Problem as problem:
                checker.report(problem)
        case _:
            hint = "call a plain function from it"
            checker.report(Problem(definition, "a naked function is one asm statement", hint))
    return [], location


def ends_with_halt(rest: list[ast.stmt]) -> bool:
    match rest:
        case [ast.Expr(value=ast.Call(func=ast.Name(id="halt")))]:
            return True
        case _:
            return False

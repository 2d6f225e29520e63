"""Names, compile-time values and conversions: what expressions and statements are checked with."""

from __future__ import annotations

import ast
import builtins
import typing
from dataclasses import dataclass, field
from typing import Any, NoReturn

from bootslang.slang import diagnostics, memory, tree, types, words
from bootslang.slang import function as functions
from bootslang.slang.source import Source, Variable, definition_of, home_of, source_of

if typing.TYPE_CHECKING:
    from types import ModuleType

TARGET_BITS = {"real16": 16, "protected32": 32, "long64": 64, "host": 64}


class Problem(Exception):
    """A finding at a node; it ends the statement that is being checked, not the function."""

    def __init__(self, node: ast.AST, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.node, self.message, self.hint = node, message, hint


class KnownProblem(Problem):
    """What follows from a finding that has been reported."""

    def __init__(self, node: ast.AST) -> None:
        super().__init__(node, "")


@dataclass
class Comptime(tree.Expression):
    """A value that exists while compiling: a number, a type, a module, a function, a text."""

    value: Any


@dataclass
class Surroundings:
    """What a function is checked for, and what is found out on the way."""

    target: str
    small: bool = False
    """Make everything small, whatever its module says."""
    diagnostics: list[diagnostics.Diagnostic] = field(default_factory=list)
    wanted: list[functions.Function] = field(default_factory=list)
    """Functions that were named, in the order of their first mention."""
    variables: dict[str, tree.Variable] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        return TARGET_BITS[self.target]

    @property
    def pointer_bytes(self) -> int:
        return 8 if self.bits == 64 else 4

    def want(self, function: functions.Function) -> None:
        """Have a function checked and compiled; the run time's hooks are the emitter's to fill."""
        hook = function.__module__ == "bootslang.slang.runtime" and function.__name__.startswith("hook_")
        if not hook and function not in self.wanted:
            self.wanted.append(function)


MOST_DECIMAL = 10**6
"""Larger numbers are shown in hexadecimal."""
COMPTIME = types.NONE
"""The type field of a Comptime, which has none until it meets one."""


class Scope:
    """The names of one function."""

    def __init__(self, around: Surroundings, source: Source, function: functions.Function) -> None:
        self.around = around
        self.source = source
        self.function = function
        self.locals: dict[str, tree.Local] = {}
        self.own_names: set[str] = set()
        """Parameters and every name that the function assigns anywhere: as in Python, they are its own everywhere."""
        self.all_locals: list[tree.Local] = []
        self.assigned: set[str] = set()
        self.declared_global: set[str] = set()
        self.own_storage: set[str] = set()
        """Locals that refer to a struct or an array of this very function, or into one."""
        self.assembly_results: set[str] = set()
        self.usize = types.usize_of(around.pointer_bytes)

    def location(self, node: ast.AST) -> diagnostics.Location:
        return self.source.location(node)

    def report(self, problem: Problem) -> None:
        if isinstance(problem, KnownProblem):
            return
        self.around.diagnostics.append(self.source.diagnostic(problem.node, problem.message, problem.hint))

    def size_of(self, kind: types.Type, node: ast.AST) -> int:
        try:
            return types.size_of(kind, self.around.pointer_bytes)
        except types.TypeProblem as problem:
            raise Problem(node, problem.message, problem.hint) from None

    def kind(self, node: ast.expr) -> types.Type:
        """The type that an annotation names."""
        try:
            return types.kind_of(self.evaluate(node), self.around.pointer_bytes)
        except types.TypeProblem as problem:
            raise Problem(node, problem.message, problem.hint) from None

    def cell(self, annotation: object, node: ast.AST) -> types.Cell:
        try:
            return types.cell_of(annotation, self.around.pointer_bytes)
        except types.TypeProblem as problem:
            raise Problem(node, problem.message, problem.hint) from None

    def evaluate(self, node: ast.expr) -> Any:
        """What an annotation evaluates to, in its module's namespace."""
        try:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node = ast.parse(node.value, mode="eval").body
            code = compile(ast.Expression(node), self.source.path, "eval")
            return eval(code, dict(vars(self.source.module)))  # noqa: S307 - the user's own annotation
        except Exception as error:  # noqa: BLE001 - whatever the user's expression raises is a finding
            raise Problem(
                node, f"this annotation cannot be evaluated: {error}", "name a type that is imported"
            ) from None

    def new_local(self, name: str, kind: types.Type, node: ast.AST) -> tree.Local:
        local = tree.Local(name, kind, self.location(node))
        self.all_locals.append(local)
        return local

    def temporary(self, kind: types.Type, node: ast.AST) -> tree.Local:
        return self.new_local("", kind, node)

    def comptime(self, value: object, node: ast.AST) -> Comptime:
        return Comptime(self.location(node), COMPTIME, value)

    # Names

    def name(self, node: ast.Name) -> tree.Expression:
        if node.id in self.assembly_results:
            raise Problem(node, f"{node.id} holds the registers after assembly", f"name one: {node.id}.eax")
        if node.id in self.own_names and node.id not in self.declared_global:
            if node.id not in self.assigned:
                raise Problem(node, f"{node.id} may not have a value here", "give it one on every way that leads here")
            local = self.locals[node.id]
            if isinstance(local.type, types.NeverType):
                raise KnownProblem(node)
            return tree.LocalValue(self.location(node), local.type, local)
        namespace = vars(self.source.module)
        if node.id in namespace:
            return self.member(self.source.module, node.id, node, own=True)
        if hasattr(builtins, node.id):
            return self.comptime(getattr(builtins, node.id), node)
        hint = f"did you mean {close}?" if (close := self.close_to(node.id)) else "define or import it"
        raise Problem(node, f"{node.id} is not defined", hint)

    def close_to(self, name: str) -> str:
        import difflib

        found = difflib.get_close_matches(name, [*self.locals, *vars(self.source.module)], 1)
        return found[0] if found else ""

    def member(self, module: ModuleType, name: str, node: ast.AST, *, own: bool = False) -> tree.Expression:
        """A name of a module: a variable, an object in memory, or a compile-time value."""
        value = vars(module)[name]
        home, real_name = home_of(module.__name__, name)
        variable = self.variable_at(home, real_name)
        plain = isinstance(value, (bool, int)) and not isinstance(value, type)
        if plain and variable is not None and self.is_mutable(home, variable):
            if own and home != module.__name__:
                raise Problem(
                    node,
                    f"{name} is a variable of {home}: this name is only a copy of its first value",
                    f"write `import {home}` and use it as {home.rpartition('.')[2]}.{real_name}",
                )
            return self.load_variable(home, real_name, variable, value, node)
        if isinstance(value, (words.array, words.Struct)):
            return self.object_address(home, real_name, variable, value, node)
        return self.comptime(value, node)

    def variable_at(self, home: str, name: str) -> Variable | None:
        try:
            return source_of(home).variables.get(name)
        except (OSError, KeyError):
            return None

    def is_mutable(self, home: str, variable: Variable) -> bool:
        """A number is a variable where it is annotated with a type other than Final."""
        if variable.annotation is None:
            return False
        annotation = self.annotation_of(home, variable)
        return annotation is not typing.Final and typing.get_origin(annotation) is not typing.Final

    def annotation_of(self, home: str, variable: Variable) -> Any:
        assert variable.annotation is not None
        scope = Scope(self.around, source_of(home), self.function)
        return scope.evaluate(variable.annotation)

    def load_variable(self, home: str, name: str, variable: Variable, value: object, node: ast.AST) -> tree.Expression:
        return self.load(self.variable_place(home, name, variable, value, node), node)

    def variable_place(self, home: str, name: str, variable: Variable, value: object, node: ast.AST) -> tree.Place:
        cell = self.cell(self.annotation_of(home, variable), node)
        address = self.variable_address(home, name, cell.type, value, node, constant=False)
        return tree.Place(self.location(node), cell.type, address, cell)

    def variable_address(
        self, home: str, name: str, kind: types.Type, value: object, node: ast.AST, *, constant: bool
    ) -> tree.VariableAddress:
        symbol = f"{home}.{name}"
        known = self.around.variables.get(symbol)
        if known is None:
            aligned = getattr(type(value), "__slang_aligned__", 1)
            section = memory.section_of(value)
            owner = source_of(home)
            place = owner.location(owner.variables[name].node) if name in owner.variables else None
            known = tree.Variable(symbol, kind, value, constant, section, aligned, place)
            self.around.variables[symbol] = known
        reference = isinstance(kind, (types.StructType, types.ArrayType))
        return tree.VariableAddress(self.location(node), kind if reference else types.PtrType(types.Cell(kind)), known)

    def object_address(
        self, home: str, name: str, variable: Variable | None, value: Any, node: ast.AST
    ) -> tree.Expression:
        """A struct or an array that was made at import."""
        constant = True
        if variable is not None:
            constant = variable.annotation is not None and not self.is_mutable(home, variable)
        if isinstance(value, words.Struct):
            kind: types.Type = types.StructType(type(value))
        else:
            element = memory.generic_element(value, self.around.pointer_bytes)
            kind = types.ArrayType(element, len(value))
        return self.variable_address(home, name, kind, value, node, constant=constant)

    # Conversions

    def load(self, place: tree.Place, node: ast.AST) -> tree.Expression:
        """The value at a place; structs and arrays stay references."""
        if isinstance(place.cell.type, (types.StructType, types.ArrayType)):
            return tree.AddressOf(self.location(node), place.cell.type, place)
        return tree.Load(self.location(node), place.cell.type, place)

    def runtime(self, value: tree.Expression, node: ast.AST, want: types.Type | None = None) -> tree.Expression:
        """Give a compile-time value a type, the wanted one if it is a number."""
        if not isinstance(value, Comptime):
            return value
        constant = value.value
        if isinstance(constant, bool):
            return tree.Constant(value.location, types.BOOL, int(constant))
        if isinstance(constant, int):
            kind = want if isinstance(want, types.IntType) else self.usize
            return self.fit(constant, kind, node)
        if isinstance(constant, functions.Function):
            self.around.want(constant)
            return tree.FunctionAddress(value.location, self.signature(constant, node), constant)
        if isinstance(constant, (words.array, words.Struct)):
            return self.anonymous(constant, node)
        return self.no_value(constant, node)

    def no_value(self, constant: object, node: ast.AST) -> NoReturn:
        match constant:
            case str() | bytes():
                raise Problem(node, "a Python text is no machine value", 'write text("…"), which is a span[u8]')
            case float():
                raise Problem(node, "boot code has no floating-point numbers", "scale to integers")
            case None:
                raise Problem(node, "None is no value here", "use a bool result, a length of 0, or raise BootError")
            case type():
                raise Problem(node, f"{constant.__name__} is a type, not a value", "call it, or use sizeof")
            case _:
                kind = type(constant).__name__
                raise Problem(node, f"a Python {kind} has no meaning on the machine", "use it at module level only")

    def anonymous(self, value: Any, node: ast.AST) -> tree.Expression:
        """An object that has no name of its own, such as an element of a Python list: it gets one by its place."""
        symbol = f"anonymous.{len(self.around.variables)}"
        if isinstance(value, words.Struct):
            kind: types.Type = types.StructType(type(value))
        else:
            kind = types.ArrayType(memory.generic_element(value, self.around.pointer_bytes), len(value))
        known = next((v for v in self.around.variables.values() if v.value is value), None)
        if known is None:
            known = tree.Variable(symbol, kind, value, constant=True, section="", aligned=1)
            self.around.variables[symbol] = known
        return tree.VariableAddress(self.location(node), kind, known)

    def fit(self, number: int, kind: types.IntType, node: ast.AST) -> tree.Constant:
        if not kind.least <= number <= kind.most:
            shown = hex(number) if abs(number) > MOST_DECIMAL else str(number)
            raise Problem(
                node,
                f"{shown} does not fit {kind}",
                f"{kind} holds {kind.least} to {kind.most}; to wrap, write {kind}(…)",
            )
        return tree.Constant(self.location(node), kind, int(number))

    def signature(self, function: functions.Function, node: ast.AST) -> types.FunctionType:
        parameters, result = signature_of(function, self.around, node)
        return types.FunctionType(tuple(kind for _, kind in parameters), result)

    def coerce(self, value: tree.Expression, want: types.Type, node: ast.AST) -> tree.Expression:
        """Give a value the wanted type where that loses nothing; else say how to write it."""
        value = self.runtime(value, node, want)
        have = value.type
        if have == want or isinstance(have, types.NeverType):
            return value
        if isinstance(have, types.IntType) and isinstance(want, types.IntType):
            if widens(have, want):
                return tree.Convert(value.location, want, value)
            raise Problem(node, f"this is {have}, and {want} is needed", f"write {want}(…), which keeps the low bits")
        if isinstance(have, types.ArrayType) and isinstance(want, types.SpanType) and have.element == want.element:
            return tree.SpanMake(value.location, want, value, tree.Constant(value.location, self.usize, have.count))
        raise Problem(node, f"this is {have}, and {want} is needed", self.conversion_hint(have, want))

    def conversion_hint(self, have: types.Type, want: types.Type) -> str:
        match have, want:
            case types.BoolType(), types.IntType():
                return f"write {want}(…)"
            case types.IntType(), types.BoolType():
                return "write … != 0"
            case types.SpanType(), types.SpanType():
                return "write ….cast(…) to read the same bytes as other elements"
            case types.IntType(), types.PtrType():
                return f"write {want}(…)"
            case types.IntType(), types.StructType():
                return f"write {want}.at(…) or {want}.of(…)"
            case types.PtrType(), types.IntType():
                return "write ….address"
            case ((types.StructType() | types.ArrayType()), types.IntType()):
                return "name one of its fields or elements, or write address(…)"
            case types.TupleType(), _:
                return "give it names first: a, b = …"
            case _:
                return f"this place takes {want} only"

    def unify(
        self, left: tree.Expression, right: tree.Expression, node: ast.AST
    ) -> tuple[tree.Expression, tree.Expression]:
        """Bring two operands to one type: the wider of the two; a compile-time number takes the other's."""
        if isinstance(left, Comptime) and not isinstance(right, Comptime):
            return self.coerce(left, right.type, node), right
        if isinstance(right, Comptime) and not isinstance(left, Comptime):
            return left, self.coerce(right, left.type, node)
        left, right = self.runtime(left, node), self.runtime(right, node)
        if isinstance(left.type, types.IntType) and isinstance(right.type, types.IntType) and left.type != right.type:
            if widens(left.type, right.type):
                return tree.Convert(left.location, right.type, left), right
            if widens(right.type, left.type):
                return left, tree.Convert(right.location, left.type, right)
            raise Problem(
                node, f"{left.type} and {right.type} do not mix", "convert one of them: u32(…), i32(…), u64(…)"
            )
        return left, right


RANK = {"u8": 0, "u16": 1, "u32": 2, "usize": 3, "u64": 4}


def widens(have: types.IntType, want: types.IntType) -> bool:
    """Whether every value of one type is one of the other, on every target."""
    if have.signed or want.signed:
        return have.signed and want.signed and have.bits <= want.bits
    return RANK[have.name] <= RANK[want.name]


def parameter_kind(scope: Scope, argument: ast.arg, index: int) -> types.Type:
    """The type of a parameter; a method's first one has its struct's."""
    if argument.annotation is not None:
        return scope.kind(argument.annotation)
    if index == 0 and "." in scope.function.__qualname__:
        owner = vars(scope.source.module)[scope.function.__qualname__.rpartition(".")[0]]
        return types.StructType(owner)
    raise Problem(argument, f"{argument.arg} has no type", f"write {argument.arg}: u32, or whatever it is")


def result_kind(scope: Scope, definition: ast.FunctionDef) -> types.Type:
    if definition.returns is None:
        raise Problem(definition, f"{definition.name} does not say what it returns", "write -> None, or the type")
    return scope.kind(definition.returns)


def signature_of(
    function: functions.Function, around: Surroundings, node: ast.AST
) -> tuple[list[tuple[str, types.Type]], types.Type]:
    """Names and types of a function's parameters, and its result."""
    source, definition = definition_of(function)
    scope = Scope(around, source, function)
    try:
        arguments = [*definition.args.args, *definition.args.kwonlyargs]
        parameters = [(item.arg, parameter_kind(scope, item, index)) for index, item in enumerate(arguments)]
        return parameters, result_kind(scope, definition)
    except Problem as problem:
        around.diagnostics.append(source.diagnostic(problem.node, problem.message, problem.hint))
        raise Problem(node, f"{function.__name__} has no valid signature", "see the other error") from None

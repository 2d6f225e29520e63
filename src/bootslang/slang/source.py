"""Slang modules as source: their syntax trees, and where each name was really defined."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bootslang.slang.diagnostics import Diagnostic, Location

if TYPE_CHECKING:
    from types import ModuleType

    from bootslang.slang.function import Function


@dataclass
class Variable:
    """A module-level assignment."""

    name: str
    annotation: ast.expr | None
    node: ast.stmt


@dataclass
class Source:
    """One module: its text, its tree and its namespace."""

    module: ModuleType
    path: str
    shown_path: str
    lines: list[str]
    tree: ast.Module
    variables: dict[str, Variable] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Names that `from module import name` brought in: where from, and what they are called there."""
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    """By qualified name."""

    @property
    def targets(self) -> tuple[str, ...]:
        statement: tuple[tuple[str, ...], str] = getattr(self.module, "__slang_module__", ((), "size"))
        return statement[0]

    @property
    def optimize(self) -> str:
        statement: tuple[tuple[str, ...], str] = getattr(self.module, "__slang_module__", ((), "size"))
        return statement[1]

    def location(self, node: ast.AST) -> Location:
        """Where a node stands; a node of several lines is shown by its first."""
        line = getattr(node, "lineno", 1)
        column = getattr(node, "col_offset", 0)
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        end = getattr(node, "end_col_offset", column + 1) if getattr(node, "end_lineno", line) == line else None
        to_characters = len(text.encode()[:column].decode(errors="ignore"))
        end_column = len(text.rstrip()) if end is None else len(text.encode()[:end].decode(errors="ignore"))
        return Location(self.shown_path, line, to_characters, max(end_column, to_characters + 1))

    def diagnostic(self, node: ast.AST, message: str, hint: str = "") -> Diagnostic:
        location = self.location(node)
        line = self.lines[location.line - 1] if location.line <= len(self.lines) else ""
        return Diagnostic(location, message, hint, line)


def shown(path: str) -> str:
    """A path as messages show it: relative to the working directory where that is shorter."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


@cache
def source_of(module_name: str) -> Source:
    """Read and parse a module that has been imported."""
    module = sys.modules[module_name]
    path = module.__file__ or module_name
    text = Path(path).read_text(encoding="utf-8")
    source = Source(module, path, shown(path), text.splitlines(), ast.parse(text, path))
    collect(source, source.tree.body)
    return source


def collect(source: Source, body: list[ast.stmt]) -> None:
    for node in body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                source.variables[name] = Variable(name, annotation, node)
            case ast.Assign(targets=[ast.Name(id=name)]):
                source.variables[name] = Variable(name, None, node)
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                source.imported.update({item.asname or item.name: (origin, item.name) for item in names})
            case ast.FunctionDef():
                source.functions[node.name] = node
            case ast.ClassDef():
                methods = {f"{node.name}.{m.name}": m for m in node.body if isinstance(m, ast.FunctionDef)}
                source.functions.update(methods)
            case ast.If():
                collect(source, node.body + node.orelse)


def definition_of(function: Function) -> tuple[Source, ast.FunctionDef]:
    """The source of a slang function."""
    source = source_of(function.__module__)
    return source, source.functions[function.__qualname__]


def home_of(module_name: str, name: str) -> tuple[str, str]:
    """The module and the name under which a name that is visible in a module was defined."""
    for _ in range(32):  # imports of imports; Python itself has refused cycles
        module = sys.modules.get(module_name)
        if module is None or not getattr(module, "__file__", None):
            break
        origin = source_of(module_name).imported.get(name)
        if origin is None or origin[0] not in sys.modules:
            break
        module_name, name = origin
    return module_name, name

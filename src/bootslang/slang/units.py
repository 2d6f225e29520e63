"""Units: what is compiled as a whole. From modules to LLVM IR, objects, assembly.

A unit is everything that is reachable from its roots, as one LLVM module. `compile_unit` makes its object, through a
cache; `emission` serves the command.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from bootslang.slang import function as functions
from bootslang.slang import words
from bootslang.slang.backend import Backend, BackendError, Job, fingerprint
from bootslang.slang.cache import Cache, key
from bootslang.slang.check import Surroundings
from bootslang.slang.diagnostics import CompileError, Diagnostic, Location, source_line
from bootslang.slang.emit import RunTime, emit_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TARGETS = ("real16", "protected32", "long64")


@dataclass(frozen=True)
class Unit:
    """What is compiled into one object."""

    name: str
    target: str
    modules: tuple[str, ...]
    """The first is the root; of all of them, functions with a section, a symbol or a hook to fill are roots."""
    run_time: RunTime = "own"
    small: bool = False
    """Make everything small, even what its module would have fast."""


@cache
def backend() -> Backend:
    """LLVM, in worker processes that are started when first needed."""
    return Backend()


def is_slang(module: ModuleType) -> bool:
    return hasattr(module, "__slang_module__") or any(
        isinstance(value, functions.Function) and value.__module__ == module.__name__ for value in vars(module).values()
    )


def modules_of(root: ModuleType) -> list[ModuleType]:
    """The slang modules that a module reaches by its imports, itself first."""
    found: dict[str, ModuleType] = {}
    waiting = [root]
    while waiting:
        module = waiting.pop(0)
        if module.__name__ in found:
            continue
        found[module.__name__] = module
        for value in vars(module).values():
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if not isinstance(name, str) or name.startswith("bootslang.slang"):
                continue
            origin = sys.modules.get(name)
            if origin is not None and is_slang(origin):
                waiting.append(origin)
    return list(found.values())


def functions_of(module: ModuleType) -> list[functions.Function]:
    """A module's own slang functions, methods of its structs included, in the order of the source."""
    found: list[functions.Function] = []
    for value in vars(module).values():
        if isinstance(value, functions.Function) and value.__module__ == module.__name__:
            found.append(value)
        elif isinstance(value, type) and issubclass(value, words.Struct) and value.__module__ == module.__name__:
            found += [item for item in vars(value).values() if isinstance(item, functions.Function)]
    return found


def providers_of(root: ModuleType) -> dict[str, functions.Function]:
    """Who fills the hooks of the run time: the nearest module that does."""
    providers: dict[str, functions.Function] = {}
    for module in modules_of(root):
        for function in functions_of(module):
            if function.options.provides:
                providers.setdefault(function.options.provides, function)
    return providers


def roots_of(unit: Unit) -> list[functions.Function]:
    roots: list[functions.Function] = []
    for name in unit.modules:
        module = importlib.import_module(name)
        own = functions_of(module)
        roots += [f for f in own if f.options.section or f.options.symbol]
    return roots


def ir_of(unit: Unit) -> str:
    """The unit's LLVM IR. Raises CompileError."""
    root = importlib.import_module(unit.modules[0])
    around = Surroundings(unit.target, small=unit.small)
    text = emit_unit(
        unit.name, around, roots_of(unit), providers_of(root), run_time=unit.run_time, modules=unit.modules
    )
    if around.diagnostics:
        raise CompileError(around.diagnostics)
    return text


def compile_all(units: Sequence[Unit], *sources: Path) -> list[bytes]:
    """The objects of several units, in their order: from the cache where neither compiler nor `sources` have changed.

    `sources` are the folders that hold all slang files of the units. Raises CompileError.
    """
    digest = source_digest(*sources)
    store = Cache()
    names = [
        key(repr(unit), digest, compiler_digest(), fingerprint(unit.target), str(sys.version_info)) for unit in units
    ]
    found = [store.get(name) for name in names]
    missing = [index for index, item in enumerate(found) if item is None]
    jobs = (Job(ir=ir_of(units[index]), target=units[index].target) for index in missing)
    try:
        made = backend().compile_all(jobs)
    except BackendError as error:
        again = ((ir_of(units[index]), units[index].target) for index in missing)
        raise in_users_terms(error, found_in=again) from None
    for index, item in zip(missing, made, strict=True):
        store.put(names[index], item)
        found[index] = item
    return [item for item in found if item is not None]


def compile_ir(ir: str, target: str) -> bytes:
    """The object of a module. Raises CompileError where LLVM refuses inline assembly."""
    try:
        return backend().compile(ir, target=target)
    except BackendError as error:
        raise in_users_terms(error, found_in=[(ir, target)]) from None


def compile_host(ir: str) -> bytes:
    """The object of a module for this machine, through the cache."""
    return Cache().get_or_compute(key(fingerprint("host"), ir), lambda: compile_ir(ir, "host"))


def in_users_terms(error: BackendError, *, found_in: Iterable[tuple[str, str]]) -> Exception:
    """An error of LLVM's as a diagnostic at the assembly that it is about.

    `found_in` are the modules that it may be in, with their targets.
    """
    if error.kind not in {"assembly", "operand"}:
        return error
    site = error.site or next((site for ir, target in found_in if (site := site_of(ir, target, error.cookie))), "")
    path, _, line = site.rpartition(":")
    if not line.isdigit():
        return error
    text = source_line(path, int(line))
    start = max(0, text.find(error.text)) if error.text else len(text) - len(text.lstrip())
    column = start + (error.column or 0)
    end = len(text.rstrip()) if error.column is None else column + 1
    location = Location(path, int(line), column, max(end, column + 1))
    if error.message.startswith("Undefined temporary symbol"):
        message = "a label that is jumped to is nowhere"
        hint = "write `2:` before or behind the jump, and `2b` or `2f` in it"
    else:
        message = f"the assembly is refused: {error.message}"
        hint = "this is what the assembler says; the syntax is Intel's: destination first"
    return CompileError([Diagnostic(location, message, hint, text)])


ASSEMBLY = re.compile(r'asm sideeffect inteldialect (?P<text>"[^"]*# (?P<site>[^"]*?:\d+)"), "[^"]*"\(')


def site_of(ir: str, target: str, cookie: int | None) -> str:
    """Where the assembly stands that LLVM refused without saying which: the one that it refuses alone as well.

    Each line of assembly ends with its place, in a comment; of several lines the last is named.
    """
    node = re.search(rf"^(!\d+) = !{{i64 {cookie}}}$", ir, re.MULTILINE)
    for line in ir.splitlines():
        found = ASSEMBLY.search(line)
        if found is None:
            continue
        if node is not None:
            if f"!srcloc {node[1]}," in line:
                return found["site"]
            continue
        alone = f'define void @"alone"() {{ call void asm sideeffect inteldialect {found["text"]}, ""() ret void }}'
        if backend().probe(alone, target=target) is not None:
            return found["site"]
    return ""


def source_digest(*roots: Path) -> str:
    """A digest of all Python files below some folders."""
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def compiler_digest() -> str:
    """What beside the source decides about the output: the compiler itself."""
    return source_digest(Path(__file__).parent)

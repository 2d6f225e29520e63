"""What becomes of one slang file: `bootslang compile` and `bootslang check`, as functions.

Example:
    >>> findings = check_file(Path("hello.py"))
    >>> image = compile_file(Path("hello.py"), target="real16", base=0x7C00)

"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

from bootslang.errors import InputInvalid, UsageError
from bootslang.slang import units
from bootslang.slang.backend import BackendError
from bootslang.slang.check import Surroundings
from bootslang.slang.diagnostics import CompileError, Diagnostic, Location, source_line
from bootslang.slang.emit import emit_unit
from bootslang.slang.link import HEAD_BYTES, Image, LinkRequest, ObjectFile, link
from bootslang.slang.source import shown

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from bootslang.slang.function import Function

Emission: TypeAlias = Literal["bin", "ir", "asm", "obj", "elf", "map"]
EMISSIONS: Final[tuple[Emission, ...]] = ("bin", "ir", "asm", "obj", "elf", "map")
LIBRARY: Final = ("bootslang.boot.lib.memory", "bootslang.boot.lib.division")
"""What LLVM calls of its own accord: copies, fills, 64-bit division. Images take what they need of it."""
KERNEL: Final = "kernel"
"""The target that is no CPU mode: a 64-bit kernel, which Bootslang or another loader starts."""
KERNEL_CODE: Final = "long64"
KERNEL_NOTE: Final = "bootslang.boot.lib.kernel_note"
"""What a kernel carries to be known by its loader."""
BASES: Final = {"real16": 0x7C00, "protected32": 0x10_0000, "long64": 0x10_0000}
"""Where images are linked to run, unless told otherwise: a boot sector's place, and the first megabyte's end."""


@overload
def compile_file(
    path: Path,
    *,
    target: str | None = None,
    emit: Literal["ir", "asm", "map"],
    base: int | None = None,
    entry: str | None = None,
) -> str: ...
@overload
def compile_file(
    path: Path,
    *,
    target: str | None = None,
    emit: Literal["bin", "obj", "elf"] | None = None,
    base: int | None = None,
    entry: str | None = None,
) -> bytes: ...
@overload
def compile_file(
    path: Path, *, target: str | None = None, emit: Emission | None, base: int | None = None, entry: str | None = None
) -> bytes | str: ...
def compile_file(
    path: Path,
    *,
    target: str | None = None,
    emit: Emission | None = None,
    base: int | None = None,
    entry: str | None = None,
) -> bytes | str:
    """Compile one file.

    Args:
        path: The slang file. What it imports is found beside it and where Python finds modules.
        target: `real16`, `protected32` or `long64`; by default the first that the file states in `compile_for`. Or
            `kernel`: `long64` code in an ELF file that a loader puts anywhere in memory.
        emit: `bin`, a flat image; `elf`, an ELF executable of the same bytes at the same addresses, with debug
            information; `map`, what lies where in them; `obj`, the object that is linked; `asm`, its assembly, Intel
            syntax; `ir`, the LLVM IR that it is made from, before optimisation. By default `bin`; a kernel is `elf`.
        base: The address of the image's first byte; by default 7C00h for `real16`, else 1 MiB. A kernel that is given
            one stays there; without, it is position-independent.
        entry: The function that the image starts with, by name. By default the one in section `.start`, else the only
            function.

    Returns:
        Text for `ir`, `asm` and `map`, else bytes.

    Raises:
        CompileError: The file is no valid slang; it carries every finding.
        UsageError: There is no such target, or no entry, or a kernel is to be a flat image.
        InputInvalid: The file cannot be read.
        LinkError: A name is undefined, or the image does not fit.

    """
    module = load_file(path)
    chosen = chosen_target(module, target)
    emit = emit or usual_emission(chosen)
    if emit in {"bin", "elf", "map"}:
        image = link_file(module, chosen, base, entry, emit)
        return image.map if emit == "map" else image.elf if emit == "elf" else image.data
    chosen = code_of(chosen)
    text = ir_of_file(module, chosen, units.functions_of(module))
    if emit == "ir":
        return text
    if emit == "obj":
        return units.compile_ir(text, chosen)
    units.compile_ir(text, chosen)  # LLVM reads inline assembly only when it makes an object
    return units.backend().assembly(text, target=chosen)


def check_file(path: Path, *, targets: tuple[str, ...] = ()) -> list[Diagnostic]:
    """All findings in a file, for `targets`, else for those that it states, else for all.

    Assembly is looked at as well where LLVM is installed; of several mistakes in it, the first is found.
    """
    try:
        module = load_file(path)
    except CompileError as error:
        return error.diagnostics
    chosen = targets or stated_targets(module) or units.TARGETS
    # Assembly is for one width. What stands in a branch for one target (`if target.bits == 64:`) calls it there alone;
    # assembly that nothing here calls is for all targets of the file.
    aside = [f for f in units.functions_of(module) if f.options.naked and not (f.options.section or f.options.symbol)]
    rest = [function for function in units.functions_of(module) if function not in aside]
    found: list[Diagnostic] = []
    called: set[str] = set()
    for target in chosen:
        found += findings(module, target, rest, called)
    left = [function for function in aside if function.symbol not in called]
    for target in chosen if left else ():
        found += findings(module, target, left, called)
    return sorted(set(found))


def findings(module: ModuleType, target: str, roots: list[Function], called: set[str]) -> list[Diagnostic]:
    """What is wrong with these functions and those that they call; adds the latters' symbols to `called`."""
    try:
        text = ir_of_file(module, target, roots)
        called.update(re.findall(r'^define [^@]*@"([^"]+)"', text, re.MULTILINE))
        if f"# {shown(str(module.__file__))}:" in text:  # assembly of this file's own: LLVM alone can judge it
            units.compile_ir(text, target)
    except CompileError as error:
        return error.diagnostics
    except BackendError as error:
        if error.kind != "missing":
            raise
    return []


def stated_targets(module: ModuleType) -> tuple[str, ...]:
    """The targets that a module names in `compile_for`."""
    statement: tuple[tuple[str, ...], str] = getattr(module, "__slang_module__", ((), ""))
    return statement[0]


def chosen_target(module: ModuleType, target: str | None) -> str:
    if target is None:
        return next(iter(stated_targets(module)), "protected32")
    known = (*units.TARGETS, KERNEL)
    if target not in known:
        raise UsageError(f"there is no target {target}", hint=f"The targets are {', '.join(known)}.")
    return target


def usual_emission(target: str | None) -> Emission:
    """What is made of a file for `target` if nobody says."""
    return "elf" if target == KERNEL else "bin"


def code_of(target: str) -> str:
    """The CPU mode that code for `target` is made for."""
    return KERNEL_CODE if target == KERNEL else target


def ir_of_file(module: ModuleType, target: str, roots: list[Function], library: tuple[str, ...] = ()) -> str:
    around = Surroundings(target)
    extra = units.roots_of(units.Unit("library", target, library)) if library else []
    modules = (module.__name__, *library)
    text = emit_unit(module.__name__, around, [*roots, *extra], units.providers_of(module), modules=modules)
    if around.diagnostics:
        raise CompileError(around.diagnostics)
    return text


def link_file(module: ModuleType, target: str, base: int | None, entry: str | None, emit: Emission) -> Image:
    """A flat image of what the entry reaches, or a kernel."""
    function = entry_function(module, entry)
    roots = [f for f in units.functions_of(module) if f is function or f.options.section or f.options.symbol]
    library = (*LIBRARY, KERNEL_NOTE) if target == KERNEL else LIBRARY
    code = units.compile_ir(ir_of_file(module, code_of(target), roots, library), code_of(target))
    name = module.__name__.rpartition(".")[2]
    start = None if function.options.section == ".start" else function.symbol
    objects = (ObjectFile(f"{name}.o", code),)
    if target != KERNEL:
        return link(LinkRequest(name=name, objects=objects, base=BASES[target] if base is None else base, entry=start))
    if emit == "bin":
        raise UsageError("a kernel is no flat image", hint="Write --emit elf, or compile for --target long64.")
    return link(
        LinkRequest(
            name=name,
            objects=objects,
            base=base or 0,
            kind="elf64",
            relocatable=base is None,
            head=HEAD_BYTES,
            entry=start,
        )
    )


def entry_function(module: ModuleType, name: str | None) -> Function:
    """The function that an image of this module starts with."""
    own = units.functions_of(module)
    if name is not None:
        found = [function for function in own if function.__qualname__ == name]
        problem = f"{module.__name__} has no function {name} marked @fn"
    else:
        found = [function for function in own if function.options.section == ".start"] or own
        problem = f"{module.__name__} has {len(own)} functions, and none of them is in section .start"
    if len(found) != 1:
        hint = 'Mark the one that the image starts with @fn(section=".start"), or name it.'
        raise UsageError(problem, hint=hint)
    return found[0]


# Files as modules


def load_file(path: Path) -> ModuleType:
    """Import a slang file by its path; a file of an installed package under its own name.

    Raises CompileError where Python does not get through it.
    """
    path = path.resolve()
    for known in list(sys.modules.values()):
        if getattr(known, "__file__", None) == str(path):
            return known
    try:
        path.read_bytes()
    except OSError as error:
        raise InputInvalid(f"{shown(str(path))} cannot be read: {error.strerror}") from None
    try:
        name = module_name(path)
        return importlib.import_module(name) if name else import_alone(path)
    except SyntaxError as error:
        raise CompileError([syntax_finding(path, error)]) from None
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises is a finding
        raise CompileError([import_finding(path, error)]) from None


def import_alone(path: Path) -> ModuleType:
    """Import a file that lies in no package; modules beside it are found, as when Python runs it."""
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_file"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{shown(str(path))} is no Python file", hint="Its name has to end in .py.")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def module_name(path: Path) -> str | None:
    """The dotted name of a file that lies in a package."""
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1 or str(folder) not in sys.path:
        return None
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def syntax_finding(path: Path, error: SyntaxError) -> Diagnostic:
    """What Python's own parser says."""
    file, line = error.filename or str(path), error.lineno or 1
    column = max(0, (error.offset or 1) - 1)
    end = error.end_offset - 1 if error.end_offset and error.end_lineno == line else column + 1
    location = Location(shown(file), line, column, max(end, column + 1))
    return Diagnostic(location, f"this is no Python: {error.msg}", source=source_line(file, line))


def import_finding(path: Path, error: Exception) -> Diagnostic:
    """What a module's own statements raised while it was imported, at the line of the file that did it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if frame.filename == str(path)), None)
    line = place.lineno or 1 if place else 1
    text = source_line(str(path), line)
    column = place.colno or 0 if place else 0
    end = place.end_colno if place and place.end_colno and place.end_lineno == line else len(text.rstrip())
    location = Location(shown(str(path)), line, column, max(end, column + 1))
    message = f"importing this module fails: {type(error).__name__}: {error}"
    return Diagnostic(location, message, "a module's own statements run as Python, before anything is compiled", text)

"""Does any mistake, however odd, end in an explanation: never in a traceback, never in an LLVM error?

Valid sources are damaged at random, in their syntax trees; what comes out is either still valid, and then LLVM takes
it, or it has findings.
"""

from __future__ import annotations

import ast
import copy
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootslang.slang.diagnostics import CompileError
from bootslang.slang.emission import check_file, compile_file
from bootslang.slang.source import source_of
from support.fuzzing import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SOURCES = [
    *(path for path in sorted((HERE / "language").glob("test_*.py")) if "\n@fn" in path.read_text(encoding="utf-8")),
    HERE.parents[1] / "src" / "bootslang" / "boot" / "lift" / "memory_map.py",
]
EXPRESSIONS = """
0
-1
256
1.5
None
True
'x'
[1]
(1, 2)
{}
u8
span[u8]
u8(3)
u64(5)
array[u8](3)
text('ab')
len
lambda: 0
...
""".strip().splitlines()
STATEMENTS = """
pass
return
return 5
break
continue
raise
x = 5
x = x
del x
global x
a = b = 1
x: u8 = 300
x += 1
yield
assert x
x[0] = 1
x.y = 1
x, y = 1, 2
import os
x = asm('nop')
x = asm('nop').eax
print(x)
print(f'{x:#x}')
for x in x: pass
while x: x -= 1
x = array[u8](4)[1:3]
x[0:4] = x[1:5]
x = checked(x + 1)
""".strip().splitlines()


def expressions(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Every expression inside of functions: its parent, the field and the index there."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, ast.expr):
                yield parent, name, None, value
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.expr):
                        yield parent, name, index, item


def put(parent: ast.AST, name: str, index: int | None, value: ast.AST) -> None:
    if index is None:
        setattr(parent, name, value)
    else:
        getattr(parent, name)[index] = value


def damage(tree: ast.Module, chance: random.Random) -> None:
    """Change one thing in one function."""
    functions = [node for node in ast.walk(tree) if is_slang(node)]
    if not functions:
        return  # an earlier change has taken the last one
    function = chance.choice(functions)
    found = [item for item in expressions(function) if item[1] not in {"decorator_list", "targets", "target"}]
    kind = chance.randrange(6)
    if kind <= 1 and found:
        parent, name, index, _ = chance.choice(found)
        put(parent, name, index, ast.parse(chance.choice(EXPRESSIONS), mode="eval").body)
    elif kind == 2 and found:
        parent, name, index, _ = chance.choice(found)
        put(parent, name, index, copy.deepcopy(chance.choice(found)[3]))
    elif kind == 3:
        bodies = [node for node in ast.walk(function) if isinstance(getattr(node, "body", None), list)]
        body = chance.choice(bodies).body  # type: ignore[attr-defined] # it has one: see above
        body.insert(chance.randrange(len(body) + 1), ast.parse(chance.choice(STATEMENTS)).body[0])
    elif kind == 4:
        bodies = [node for node in ast.walk(function) if isinstance(getattr(node, "body", None), list)]
        body = chance.choice(bodies).body  # type: ignore[attr-defined]
        if len(body) > 1:
            del body[chance.randrange(len(body))]
    else:
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        chance.choice(names).id = chance.choice(names).id


def is_slang(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any("fn" in ast.unparse(item) for item in node.decorator_list)


def only_slang(source: Path) -> ast.Module:
    """A test module without its tests: imports, declarations, slang functions."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    tests = "test_", "on_", "this_module"
    kept = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not is_slang(node):
            continue
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith(tests):
            continue
        if isinstance(node, ast.ClassDef) and "FakeMachine" in ast.unparse(node):
            continue
        kept.append(node)
    tree.body = kept
    return tree


@pytest.mark.filterwarnings("ignore::SyntaxWarning")  # Python warns of some of the damage
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_damaged_sources_are_explained_or_compiled(source: Path, tmp_path: Path) -> None:
    chance = random.Random(source.stem)
    tree = only_slang(source)
    for number in range(EXAMPLES // 2 // len(SOURCES)):
        mutant = copy.deepcopy(tree)
        for _ in range(chance.choice((1, 1, 2, 4))):
            damage(mutant, chance)
        try:
            text = ast.unparse(ast.fix_missing_locations(mutant))
        except Exception:  # noqa: BLE001, S112 - what Python cannot write is no source
            continue
        path = tmp_path / f"mutant_{source.stem}_{number}.py"
        path.write_text(text, encoding="utf-8")
        judge(path, chance.choice(("protected32", "long64")))
        forget(path)


def judge(path: Path, target: str) -> None:
    try:
        findings = check_file(path, targets=(target,))
    except Exception as error:
        error.add_note(f"target {target}, source:\n{path.read_text(encoding='utf-8')}")
        raise
    for finding in findings:
        assert finding.message
        assert finding.location.line >= 1
        finding.render()
    if not findings:
        compiles(path, target)


def compiles(path: Path, target: str) -> None:
    try:
        assert compile_file(path, target=target, emit="obj")
    except CompileError as error:
        pytest.fail(f"check_file found nothing, but: {error}")


def forget(path: Path) -> None:
    """Let go of a module that nobody will use again."""
    sys.modules.pop(path.stem, None)
    source_of.cache_clear()

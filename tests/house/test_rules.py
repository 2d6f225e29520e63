"""Does the source keep the house's rules that no linter knows?"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 640
"""Most files have 50 to 300 lines. At 500 a reader asks what the second idea is; at this length it is there."""


def tracked() -> list[Path]:
    """Every text file of the project: those that git knows, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [
        ROOT / name for name in names if name and (ROOT / name).is_file() and b"\0" not in (ROOT / name).read_bytes()
    ]


def offenders(pattern: str) -> list[str]:
    """Where a regular expression is found, as `file:line: text`. This file has the patterns itself."""
    wanted = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if wanted.search(line)
    ]


def python_files(folder: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / folder)]


@pytest.mark.parametrize("path", python_files("src"), ids=lambda path: str(path.relative_to(ROOT / "src/bootslang")))
def test_a_file_has_one_idea_and_says_which(path: Path) -> None:
    text = path.read_text()
    assert text.startswith('"""'), "its first lines say what it is"
    assert len(text.splitlines()) <= LINES_MAX


def test_nothing_is_left_to_do() -> None:
    assert offenders(r"\b(TODO|FIXME|XXX|HACK)\b") == []


def test_no_test_is_skipped_or_allowed_to_fail() -> None:
    assert offenders(r"pytest\.(mark\.)?(skip|xfail|skipif|importorskip)\b") == []


def test_nothing_depends_on_the_machine_it_was_written_on() -> None:
    assert offenders(r"(/root/\.|/work/|/tmp/(wt|venv)|index-url|https?://(localhost|\d+\.\d+))") == []


def imports(folder: str) -> list[tuple[Path, str]]:
    """Every module that files below a folder import, anywhere in them."""
    return [
        (path.relative_to(ROOT), module)
        for path in python_files(folder)
        for node in ast.walk(ast.parse(path.read_text()))
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]


def test_boot_code_imports_only_slang_and_itself() -> None:
    allowed = re.compile(r"(bootslang\.(slang|boot)\b.*|__future__|typing|enum|collections\.abc)")
    assert [found for found in imports("src/bootslang/boot") if not allowed.fullmatch(found[1])] == []


def test_the_compiler_knows_nothing_of_booting() -> None:
    refused = re.compile(r"bootslang\.(boot|image|kernel|emulator|cli|rocket)\b.*")
    assert [found for found in imports("src/bootslang/slang") if refused.fullmatch(found[1])] == []

"""Does docs/errors.md list what boot code says when it stops, all of it and nothing else?"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOOT = ROOT / "src/bootslang/boot"
RUN_TIME = ROOT / "src/bootslang/slang/runtime.py"
PAGE = ROOT / "docs/errors.md"
RUN_TIME_ERRORS = ("index", "slice", "copy", "short", "overflow", "division")


def message(node: ast.expr) -> str:
    """A message as the page writes it: `…` for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(message(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "…"
    assert isinstance(node, ast.Constant)
    return str(node.value)


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def raised() -> set[str]:
    return {message(call.args[0]) for path in BOOT.rglob("*.py") for call in calls(path, "BootError")}


def checked() -> set[str]:
    """The messages of slang's own checks."""
    functions = {node.name: node for node in ast.parse(RUN_TIME.read_text()).body if isinstance(node, ast.FunctionDef)}
    found = set()
    for kind in RUN_TIME_ERRORS:
        for node in ast.walk(functions[f"{kind}_error"]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "text":
                found.add(message(node.args[0]))
    return found


def listed() -> set[str]:
    """The first column of every table that has one of messages."""
    rows = re.findall(r"^\| `(.+?)` \|", PAGE.read_text(), re.MULTILINE)
    return {row for row in rows if len(row) > 1}


def test_every_message_is_on_the_page() -> None:
    assert sorted((raised() | checked()) - listed()) == []


def test_the_page_has_no_message_that_nothing_says() -> None:
    assert sorted(listed() - raised() - checked()) == []


def test_every_letter_of_stage_1_is_on_the_page() -> None:
    letters = (call.args[0] for call in calls(BOOT / "bios/boot_sector.py", "ord"))
    said = {message(letter) for letter in letters}
    assert said == set(re.findall(r"^\| `(.)` \|", PAGE.read_text(), re.MULTILINE))


def test_what_is_no_error_is_quoted_as_it_is_said() -> None:
    printed = {message(call.args[0]) for call in calls(BOOT / "bios/video.py", "print")}
    assert set(re.findall(r"`([^`]+text mode stays\.)`", PAGE.read_text())) <= printed
    assert "Boot stopped. Reset the machine to try again." in (BOOT / "lib/console.py").read_text()
    assert "Boot stopped. Reset the machine to try again." in PAGE.read_text()

"""Is every example of the slang reference true?

A block that is headed `python name=X` is the file X.py. A block of `>>>` lines is run; one that is headed `continue=X`
sees X's names.
"""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest

from bootslang.slang.emission import check_file, load_file
from bootslang.slang.source import source_of

TEXT = (Path(__file__).parents[2] / "docs" / "slang.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python *(?P<head>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(found["head"], found["body"]) for found in BLOCK.finditer(TEXT)]
FILES = {head.removeprefix("name="): body for head, body in BLOCKS if head.startswith("name=")}
SESSIONS = [(head.removeprefix("continue="), body) for head, body in BLOCKS if not head.startswith("name=")]
WRONG_ON_PURPOSE = {"mistakes"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files of the reference, to stand in."""
    for name, body in FILES.items():
        (tmp_path / f"{name}.py").write_text(body, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    source_of.cache_clear()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", sorted(FILES.keys() - WRONG_ON_PURPOSE))
def test_each_example_compiles_for_its_targets(name: str, files: Path) -> None:
    assert [finding.render() for finding in check_file(files / f"{name}.py")] == []


@pytest.mark.parametrize(("name", "body"), SESSIONS)
def test_each_session_gives_what_it_shows(name: str, body: str, files: Path) -> None:
    known = vars(load_file(files / f"{name}.py")) if name else {}
    session = doctest.DocTestParser().get_doctest(body, known, name or "session", "slang.md", 0)
    session.globs = known  # not a copy: variables are the module's
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, out=report.append, clear_globs=False)
    assert report == []


def test_the_reference_names_every_word_of_the_language() -> None:
    import bootslang.slang

    missing = [word for word in bootslang.slang.__all__ if not re.search(rf"\b{word}\b", TEXT)]
    assert missing == []

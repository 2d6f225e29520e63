"""Does every mistake get its own explanation: where, what is wrong, what to write?

Each file in `diagnostics/` makes one kind of mistakes; the text beside it is all that `bootslang check` says about it.
After a change, `BOOTSLANG_REBASELINE=1 pytest tests/slang/test_diagnostics.py` writes the texts anew, to be read before
they are committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bootslang.slang.emission import check_file

FOLDER = Path(__file__).parent / "diagnostics"
CASES = sorted(path.stem for path in FOLDER.glob("*.py"))
REBASELINE = bool(os.environ.get("BOOTSLANG_REBASELINE"))


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    text = "\n\n".join(finding.render() for finding in check_file(Path(f"{name}.py"))) + "\n"
    expected = FOLDER / f"{name}.txt"
    if REBASELINE:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_finding_names_a_line_of_its_file() -> None:
    for name in CASES:
        source = (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()
        for finding in check_file(FOLDER / f"{name}.py"):
            assert finding.source.strip() in source[finding.location.line - 1]
            assert 0 <= finding.location.column < finding.location.end_column

"""Which of a file's functions does `check_file` look at, and for which machines?"""

from pathlib import Path

import pytest

from bootslang.slang.emission import check_file

HEAD = (
    '"""Two widths."""\n\nfrom bootslang.slang import asm, compile_for, fn, target\n\n'
    'compile_for("protected32", "long64")\n\n\n'
)
EITHER = "@fn\ndef either() -> None:\n    if target.bits == 64:\n        wide()\n    else:\n        narrow()\n\n\n"
WIDE = '@fn(naked=True)\ndef wide() -> None:\n    asm("push rbx")\n\n\n'
NARROW = '@fn(naked=True)\ndef narrow() -> None:\n    asm("jmp edx")\n'


def check(folder: Path, text: str) -> list[str]:
    file = folder / f"{folder.name}.py"  # Python remembers the lines of a file by its name
    file.write_text(text)
    return [f"{finding.location.line}: {finding.message}" for finding in check_file(file)]


def test_assembly_behind_a_branch_is_for_that_branch_s_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(tmp_path, HEAD + EITHER + WIDE + NARROW) == []


def test_assembly_in_the_wrong_branch_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(tmp_path, HEAD + EITHER.replace("== 64", "!= 64") + WIDE + NARROW) == [
        "18: the assembly is refused: register %rbx is only available in 64-bit mode",
        "23: the assembly is refused: instruction requires: Not 64-bit mode",
    ]


def test_assembly_that_nothing_calls_is_for_every_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(tmp_path, HEAD + NARROW) == ["10: the assembly is refused: instruction requires: Not 64-bit mode"]

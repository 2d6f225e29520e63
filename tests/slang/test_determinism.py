"""Do the same sources give the same bytes in every process, and is nothing compiled twice?"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bootslang import rocket
from bootslang.slang import backend, cache, units

if TYPE_CHECKING:
    import pytest

SECONDS_COLD = 5.0
"""What compiling all boot code may take, on an idle machine of two cores."""

OBJECTS = """
import hashlib, sys
from bootslang import rocket
for name, code in rocket.compile_units().items():
    print(name, hashlib.sha256(code).hexdigest())
"""


def objects_of(folder: Path, seed: str, working: Path) -> str:
    """Names and sums of all boot code's objects, compiled in a new process with an empty cache."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, cache.DIRECTORY_VARIABLE: str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", OBJECTS]
    return subprocess.run(command, env=environment, cwd=working, check=True, capture_output=True, text=True).stdout


def test_two_processes_compile_the_same_bytes(tmp_path: Path) -> None:
    package = Path(rocket.__file__).parent
    first = objects_of(tmp_path / "one", "1", tmp_path)
    second = objects_of(tmp_path / "two", "4711", package)
    assert first.splitlines()
    assert first == second


def test_what_has_not_changed_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.DIRECTORY_VARIABLE, str(tmp_path))
    started = time.perf_counter()
    cold = rocket.compile_units()
    seconds_cold = time.perf_counter() - started

    def refuse(*_: object) -> str:
        raise AssertionError("compiled again")

    monkeypatch.setattr(units, "ir_of", refuse)
    monkeypatch.setattr(backend.Backend, "compile", refuse)
    started = time.perf_counter()
    warm = rocket.compile_units()
    seconds_warm = time.perf_counter() - started
    assert warm == cold
    assert seconds_warm < seconds_cold / 5
    digest = hashlib.sha256(b"".join(cold.values())).hexdigest()
    print(f"cold {seconds_cold:.2f} s of {SECONDS_COLD:.0f} s, warm {seconds_warm:.3f} s, {digest[:12]}")


def test_another_source_is_another_key(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    one = units.source_digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert units.source_digest(tmp_path) != one

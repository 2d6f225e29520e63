"""Do the same sources give the same bytes in every process, and is nothing compiled twice?"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootslang import rocket
from bootslang.slang import backend, cache, units

OBJECTS = """
import hashlib, sys
from bootslang import rocket
for name, code in rocket.compile_units().items():
    print(name, hashlib.sha256(code).hexdigest())
"""


@dataclass
class Cold:
    """All boot code, compiled in this process with an empty cache."""

    folder: Path
    objects: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Cold:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.DIRECTORY_VARIABLE, str(folder))
        started = time.perf_counter()
        objects = rocket.compile_units()
        return Cold(folder, objects, time.perf_counter() - started)


def test_another_process_compiles_the_same_bytes(cold: Cold, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4711", cache.DIRECTORY_VARIABLE: str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    elsewhere = Path(rocket.__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", OBJECTS], env=environment, cwd=elsewhere, check=True, capture_output=True, text=True
    )
    sums = [f"{name} {hashlib.sha256(code).hexdigest()}" for name, code in cold.objects.items()]
    assert done.stdout.splitlines() == sums


def test_what_has_not_changed_is_not_compiled_again(cold: Cold, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("compiled again")

    monkeypatch.setenv(cache.DIRECTORY_VARIABLE, str(cold.folder))
    monkeypatch.setattr(units, "ir_of", refuse)
    monkeypatch.setattr(backend.Backend, "compile", refuse)
    started = time.perf_counter()
    warm = rocket.compile_units()
    seconds = time.perf_counter() - started
    assert warm == cold.objects
    assert seconds < cold.seconds / 5


def test_another_source_is_another_key(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    one = units.source_digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert units.source_digest(tmp_path) != one

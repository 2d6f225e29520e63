"""Do the developer's commands exist, and does one command run all of them?"""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ("demo", "test", "lint", "bench", "fuzz", "clean", "help")


def make(*arguments: str) -> str:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_help_lists_every_target_a_developer_has() -> None:
    listed = dict(re.findall(r"^  make (\S+)\s+(\S.*)$", make("help"), re.MULTILINE))
    assert set(TARGETS) <= set(listed)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target: str) -> None:
    assert make("--dry-run", target)


def test_make_test_lints_first_and_boots_machines_last() -> None:
    steps = make("--dry-run", "test")
    places = [steps.index(word) for word in ("tools/lint", '-m "not machine', '-m "machine')]
    assert places == sorted(places)


def test_ci_runs_the_tests_and_stops_at_the_first_failure() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in script
    assert "make test" in script
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("script", ["tools/setup", "tools/lint", ".ci/run"])
def test_scripts_are_valid_shell(script: str) -> None:
    shell = "bash" if script == ".ci/run" else "sh"
    subprocess.run([shell, "-n", script], cwd=ROOT, check=True)


def test_lint_runs_the_linter_the_formatter_and_strict_types() -> None:
    script = (ROOT / "tools/lint").read_text()
    assert all(word in script for word in ("ruff check", "ruff format --check", "mypy"))
    assert "strict = true" in (ROOT / "pyproject.toml").read_text()

"""Is the bar there only on a terminal, and only for what takes long?"""

import io
import sys

import pytest

from bootslang.cli import progress


class Terminal(io.StringIO):
    """A screen."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, patience: float) -> str:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", patience)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress.Bar() as bar:
        bar.update("pack", 50, 100)
        bar.update("write", 100, 100)
    return screen.getvalue()


def test_what_takes_long_has_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), patience=0)
    assert "packing" in text
    assert "writing" in text


def test_what_is_soon_done_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), patience=60) == ""


def test_a_log_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), patience=0) == ""

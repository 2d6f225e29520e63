"""Guests that are compiled once for all tests of a process."""

import pytest

from support.handoff import Guests


@pytest.fixture(scope="session")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Guests:
    return Guests(tmp_path_factory.mktemp("guests"))

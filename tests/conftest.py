"""What all tests share."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The first call of a slang function compiles it: no deadline holds for one example.
settings.register_profile("bootslang", deadline=None)
settings.load_profile("bootslang")


@pytest.fixture(autouse=True)
def fresh_machine() -> Iterator[None]:
    """What a test has left in slang's module-level variables is gone before the next one."""
    yield
    if "bootslang.slang.host" in sys.modules:
        sys.modules["bootslang.slang.host"].reset()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thin", action="store_true", help="of each slow matrix, run only the first case")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --thin, keep one case of each test that is marked slow."""
    if not config.getoption("--thin"):
        return
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    seen: set[str] = set()
    for item in items:
        matrix = item.nodeid.partition("[")[0]
        if item.get_closest_marker("slow") is not None and matrix in seen:
            left_out.append(item)
            continue
        seen.add(matrix)
        kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)

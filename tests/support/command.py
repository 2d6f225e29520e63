"""What tests of the command see of it; the fixture `bootslang` of tests/cli calls it."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command: TypeAlias = Callable[..., Result]

"""How long to fuzz: a few hundred examples in `make test`, as many as `BOOTSLANG_FUZZ_EXAMPLES` says in `make fuzz`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

EXAMPLES = int(os.environ.get("BOOTSLANG_FUZZ_EXAMPLES", "300"))


def fuzzed(test: F) -> F:
    """Run a hypothesis test for EXAMPLES examples, without a time limit for one of them."""
    return settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))(test)


def fuzzed_slowly(test: F) -> F:
    """The same for a tenth of the examples: on an emulated machine."""
    return settings(max_examples=EXAMPLES // 10, deadline=None, suppress_health_check=list(HealthCheck))(test)


def mutations(original: bytes) -> st.SearchStrategy[bytes]:
    """Damaged copies of `original`: bits flipped, bytes overwritten, cut, doubled, inserted, one to five times."""
    position = st.integers(0, max(len(original) - 1, 0))
    change = st.tuples(
        st.sampled_from(["flip", "set", "cut", "drop", "repeat", "insert"]), position, position, st.integers(0, 255)
    )
    return st.lists(change, min_size=1, max_size=5).map(lambda changes: mutate(original, changes))


def field_changes(original: bytes, end: int) -> st.SearchStrategy[bytes]:
    """Copies with whole fields of the first `end` bytes overwritten by numbers at the edges."""
    edges = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 52, (1 << 64) - 1]
    change = st.tuples(st.integers(0, end - 8), st.sampled_from([1, 2, 4, 8]), st.sampled_from(edges))

    def apply(changes: list[tuple[int, int, int]]) -> bytes:
        data = bytearray(original)
        for at, width, value in changes:
            data[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        return bytes(data)

    return st.lists(change, min_size=1, max_size=4).map(apply)


def mutate(original: bytes, changes: list[tuple[str, int, int, int]]) -> bytes:
    data = bytearray(original)
    for kind, first, second, value in changes:
        start = min(first, len(data))
        end = min(max(first, second), len(data))
        if kind == "flip" and start < len(data):
            data[start] ^= 1 << (value & 7)
        elif kind == "set" and start < len(data):
            data[start] = value
        elif kind == "cut":
            del data[start:]
        elif kind == "drop":
            del data[start:end]
        elif kind == "repeat":
            data[end:end] = data[start:end]
        elif kind == "insert":
            data[start:start] = bytes([value])
    return bytes(data)

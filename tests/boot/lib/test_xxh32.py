"""Is XXH32 what everybody else's is, on every machine?"""

from __future__ import annotations

import random

import pytest
import xxhash

from bootslang.boot.lib.xxh32 import xxh32
from bootslang.slang import span
from support.bare import Bare, Target

SIZES = [*range(70), 255, 256, 1000, 4099]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_librarys(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert xxh32(span(data)) == xxhash.xxh32_intdigest(data)


@pytest.mark.parametrize("target", ["protected32", "long64"])
def test_it_is_the_same_on_the_machine(target: Target) -> None:
    machine = Bare(target, xxh32)
    for size in SIZES:
        data = random.Random(size).randbytes(size)
        assert machine.call(xxh32, data) == xxhash.xxh32_intdigest(data)

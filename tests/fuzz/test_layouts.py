"""However a boot's files lie in memory: is each byte of kernel and initrds where it belongs when Linux is entered?"""

import itertools
import random

from hypothesis import assume, given
from hypothesis import strategies as st

from bootslang.slang import BootError
from support.fuzzing import fuzzed_slowly
from support.lift import Door
from support.payloads import MIB, bzimage

MEMORY = 48
KERNEL = 16 * MIB
KERNEL_BYTES = 8 * MIB
"""Where the kernel wants to be, and what it takes there."""
PLACES = st.one_of(
    st.integers(0, (MEMORY - 1) * MIB),
    st.integers(KERNEL - MIB, KERNEL + KERNEL_BYTES),
    st.integers(0, MEMORY - 1).map(lambda mib: mib * MIB),
)
FILES = st.lists(st.tuples(PLACES, st.integers(1, 3 * MIB)), min_size=1, max_size=5)


def content(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def overlap(pieces: list[tuple[int, int]]) -> bool:
    ordered = sorted(pieces)
    return any(first[0] + first[1] > second[0] for first, second in itertools.pairwise(ordered))


@fuzzed_slowly
@given(files=FILES, movable=st.booleans(), seed=st.integers(0, 1000))
def test_nothing_is_lost_and_nothing_is_overwritten(files: list[tuple[int, int]], *, movable: bool, seed: int) -> None:
    with Door(MEMORY) as door:
        body = content(files[0][1], seed)
        wants = {"pref_address": door.base + KERNEL, "init_size": KERNEL_BYTES, "xloadflags": 1, "relocatable": movable}
        kernel = bzimage(wants, protected=body)
        pieces = [(files[0][0], len(kernel)), *files[1:]]
        assume(not overlap(pieces) and all(offset + size <= MEMORY * MIB for offset, size in pieces))
        initrds = [content(size, seed + number) for number, (_, size) in enumerate(pieces[1:], start=1)]
        for (offset, _), data in zip(pieces, [kernel, *initrds], strict=True):
            door.add(data, offset)
        try:
            entered = door.boot()
        except BootError as error:
            assert "not enough memory" in str(error) or "no place" in str(error)  # noqa: PT017 - both outcomes are good
            return
        start = entered.entry - 0x200
        assert movable or start == door.base + KERNEL
        assert door.read(start, len(body)) == body
        expected = b""
        for data in initrds:
            expected += bytes(-len(expected) % 4) + data
        assert entered.initrd == expected
        assert (
            not initrds
            or entered.initrd_place + len(expected) <= start - door.base
            or (entered.initrd_place >= start - door.base + KERNEL_BYTES)
        )

"""Do several initrds become one, of the exact length, in a place that the kernel reaches?"""

import pytest

from bootslang.boot.disk import INITRD
from bootslang.boot.lift import initrd
from bootslang.boot.lift.payload import Part
from bootslang.slang import BootError, array
from support.payloads import MIB, machine, pc, taken

GIB = 1 << 30


def blobs(*sizes: int) -> array[Part]:
    """Initrds of these sizes on a disk."""
    return array[Part](blob(size) for size in sizes)


def blob(size: int) -> Part:
    part = Part.zeroed()
    part.kind, part.size, part.record = INITRD, size, 1
    return part


@pytest.mark.parametrize(
    ("sizes", "total"),
    [
        ((), 0),
        ((0,), 0),
        ((1,), 1),
        ((512,), 512),
        ((5, 6), 14),
        ((5, 0, 6), 14),
        ((8, 8, 1), 17),
        ((5 * GIB, 3), 5 * GIB + 3),
    ],
)
def test_the_length_is_exact_and_each_starts_at_a_multiple_of_four(sizes: tuple[int, ...], total: int) -> None:
    assert initrd.total_bytes(blobs(*sizes)) == total


def test_lengths_that_do_not_fit_64_bits_are_refused() -> None:
    with pytest.raises(BootError):
        initrd.total_bytes(blobs((1 << 64) - 8, 9))


def test_it_goes_to_the_top_of_what_the_kernel_reaches() -> None:
    memory, context = pc(3072)
    assert initrd.place(5000, 0x3800_0000, may_lie_high=False, memory=memory, context=context) == 0x3800_0000 - 0x2000
    assert taken(context) == [(0x3800_0000 - 0x2000, 5000)]


def test_it_goes_above_4_gib_only_where_the_kernel_finds_it_there() -> None:
    memory, context = machine((MIB, 2 * GIB), (4 * GIB, 8 * GIB))
    assert initrd.place(3 * GIB, 4 * GIB, may_lie_high=True, memory=memory, context=context) == 5 * GIB
    with pytest.raises(BootError, match="not enough memory for the initrd"):
        initrd.place(3 * GIB, 4 * GIB, may_lie_high=False, memory=memory, context=context)


def test_below_4_gib_is_preferred() -> None:
    memory, context = machine((MIB, 2 * GIB), (4 * GIB, 8 * GIB))
    assert initrd.place(GIB, 4 * GIB, may_lie_high=True, memory=memory, context=context) == GIB


def test_too_little_memory_is_told_by_how_much() -> None:
    memory, context = pc(64)
    with pytest.raises(BootError, match=r"not enough memory for the initrd: 102400 KiB .* 37888 KiB are missing"):
        initrd.place(100 * MIB, 1 << 32, may_lie_high=False, memory=memory, context=context)

"""Do kernel, window and direct map find places in the address space, whatever the kernel takes?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.lift.handoff import addresses
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.slang import BootError
from support.fuzzing import fuzzed
from support.payloads import machine

MIB, GIB = 1 << 20, 1 << 30
KERNEL = 0xFFFF_FFFF_8000_0000
SLOT = 512 * GIB
EXECUTABLE, SHARED = 2, 3


def kernel(low: int, size: int, kind: int = SHARED) -> HandoffKernel:
    found = HandoffKernel.zeroed()
    found.type, found.low, found.end = kind, low, low + size
    return found


def shift(found: HandoffKernel, *, randomise: bool = False, random: int = 0) -> int:
    return addresses.kernel_shift(found, randomise, random) % (1 << 64)


def test_a_kernel_at_fixed_addresses_stays_there() -> None:
    assert shift(kernel(16 * MIB, MIB, EXECUTABLE)) == 0
    assert shift(kernel(KERNEL, MIB, EXECUTABLE), randomise=True, random=7) == 0


@pytest.mark.parametrize("low", [0, 0x1000, 2 * MIB, 16 * MIB + 0x5000])
def test_a_kernel_that_moves_goes_to_the_upper_2_gib_by_whole_2_mib(low: int) -> None:
    moved = shift(kernel(low, MIB))
    assert (low + moved) % (1 << 64) == KERNEL + low % (2 * MIB)


def test_one_that_is_linked_in_the_higher_half_already_stays() -> None:
    assert shift(kernel(0xFFFF_FFFF_C000_0000, MIB)) == 0


@fuzzed
@given(
    low=st.sampled_from([0, 0x3000, 5 * MIB, KERNEL]), size=st.integers(1, GIB), random=st.integers(0, (1 << 64) - 1)
)
def test_a_random_place_is_one_of_the_upper_2_gib(low: int, size: int, random: int) -> None:
    moved = shift(kernel(low, size), randomise=True, random=random)
    start = (low + moved) % (1 << 64)
    assert moved % (2 * MIB) == 0
    assert start >= KERNEL
    assert start + size <= (1 << 64) - 2 * MIB


def test_every_random_place_comes_up() -> None:
    found = kernel(0, 2 * MIB)
    starts = {shift(found, randomise=True, random=random) for random in range(2000)}
    assert len(starts) == 1023
    assert (min(starts), max(starts)) == (KERNEL, (1 << 64) - 4 * MIB)


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (MIB, 2 * MIB, KERNEL - 2 * MIB),
        (KERNEL, KERNEL + MIB, KERNEL - 2 * MIB),
        (KERNEL - 2 * MIB, KERNEL, KERNEL - GIB - 2 * MIB),
        (KERNEL - GIB - MIB, KERNEL - MIB, KERNEL - 2 * GIB - 2 * MIB),
        (KERNEL - 3 * MIB, KERNEL - 2 * MIB, KERNEL - 2 * MIB),
    ],
)
def test_the_window_goes_where_the_kernel_is_not(start: int, end: int, window: int) -> None:
    assert addresses.window_for(start, end) % (1 << 64) == window


BASE = 0xFFFF_8000_0000_0000


@pytest.mark.parametrize(
    ("size", "start", "end", "base"),
    [
        (4 * GIB, KERNEL, KERNEL + MIB, BASE),
        (4 * GIB, MIB, 2 * MIB, BASE),
        (4 * GIB, BASE, BASE + MIB, BASE + SLOT),
        (4 * GIB, BASE + 100 * GIB, BASE + 100 * GIB + MIB, BASE + SLOT),
        (4 * GIB, BASE + SLOT, BASE + SLOT + MIB, BASE),
        (SLOT + GIB, BASE + SLOT + MIB, BASE + SLOT + 2 * MIB, BASE + 2 * SLOT),
        (4 * GIB, BASE + SLOT - MIB, BASE + SLOT + MIB, BASE + 2 * SLOT),
        (255 * SLOT, KERNEL, KERNEL + MIB, BASE),
    ],
)
def test_the_direct_map_has_512_gib_steps_of_its_own(size: int, start: int, end: int, base: int) -> None:
    assert addresses.direct_map_for(size, start, end) % (1 << 64) == base


@pytest.mark.parametrize(("size", "start"), [(255 * SLOT + GIB, KERNEL), (254 * SLOT + GIB, BASE), (1 << 52, MIB)])
def test_more_memory_than_addresses_is_an_error(size: int, start: int) -> None:
    with pytest.raises(BootError) as refused:
        addresses.direct_map_for(size, start, start + MIB)
    assert str(refused.value) == (
        f"{size // GIB} GiB of physical addresses are more than a direct map has room for beside the kernel"
    )


def test_the_direct_map_shows_4_gib_or_all_ram_in_whole_gib() -> None:
    small, _ = machine((0, 0x9_FC00), (MIB, 64 * MIB))
    assert addresses.direct_map_bytes(small, 0) == 4 * GIB
    assert addresses.direct_map_bytes(small, 5 * GIB + 1) == 6 * GIB
    large, _ = machine((0, 3 * GIB), (4 * GIB, 6 * GIB + MIB))
    assert addresses.direct_map_bytes(large, 0) == 7 * GIB


def test_what_is_reserved_high_up_is_not_shown() -> None:
    memory, _ = machine((0, GIB), (1012 * GIB, 1024 * GIB), kind=2)
    assert addresses.direct_map_bytes(memory, 0) == 4 * GIB

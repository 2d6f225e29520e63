"""Does one whole generation boot, wherever the power is cut in an update?"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from bootslang.errors import FormatInvalid, ImageInvalid, NoRoom
from bootslang.image import format as disk
from bootslang.image.codecs import CODECS
from bootslang.image.generation import read_chunks
from bootslang.image.loader import Loader, LoaderOptions, make_loader
from bootslang.image.medium import Region
from bootslang.image.partitions import Partition, write_partition_table
from bootslang.image.payload import Content, Payload
from bootslang.image.update import Installer, Plan, examine, plan_update
from bootslang.image.verify import Start, what_boots
from bootslang.kernel import Kernel
from support.disks import MIB, FakeStages, MemoryDisk, elf_kernel, power_cuts

START = MIB
KERNEL_BYTES = 200_000


def blank(partition_bytes: int) -> MemoryDisk:
    partition = Partition(1, 0xDA, True, START // 512, partition_bytes // 512, 512)  # noqa: FBT003
    table = write_partition_table(0x1234, [partition])
    return MemoryDisk(bytearray(table.ljust(START + partition_bytes + MIB, b"\0")))


def boot_of(medium: MemoryDisk) -> Region:
    return Region(medium, START, medium.size - START - MIB)


def loader(medium: MemoryDisk, version: int) -> Loader:
    return make_loader(FakeStages(version), LoaderOptions(sector_size=512, partition_bytes=boot_of(medium).size))


def payload(seed: int, kernel_bytes: int = KERNEL_BYTES, codec: str = "none") -> Payload:
    made = Payload()
    for content in (
        Content(disk.KERNEL_ELF, "vmlinux", Kernel.read(elf_kernel(kernel_bytes, seed)).pieces),
        Content(disk.INITRD, "initrd", lambda: [b"initrd of generation %d. " % seed * 3000]),
        Content(disk.COMMAND_LINE, "", lambda: [b"generation=%d" % seed]),
    ):
        made.add(content, CODECS[codec], lambda _: None)
    return made


def install(medium: MemoryDisk, seed: int, *, version: int = 1, kernel_bytes: int = KERNEL_BYTES) -> Plan:
    """Install generation `seed` with a loader of `version`; the log has what was written."""
    medium.log.clear()
    boot = boot_of(medium)
    existing = examine(boot)
    with payload(seed, kernel_bytes) as content:
        plan = plan_update(content, existing, boot.size)
        Installer(medium, boot).install(loader(medium, version), content, existing, plan, lambda _: None)
    return plan


def command_line(start: Start, medium: MemoryDisk) -> bytes:
    return b"".join(read_chunks(boot_of(medium), start.generation.tables[-1]))


def booted(state: bytearray) -> tuple[bytes, bytes]:
    """The loader and the command line that a machine would start from a disk in this state."""
    medium = MemoryDisk(state)
    start = what_boots(boot_of(medium))
    return start.loader, command_line(start, medium)


ROOM_FOR_ONE = 1 * MIB
ROOM_FOR_TWO = disk.DATA_OFFSET + 2 * 0x60000
ROOM_FOR_MANY = 4 * MIB


@pytest.mark.parametrize("partition_bytes", [ROOM_FOR_TWO, ROOM_FOR_MANY])
def test_a_power_cut_anywhere_leaves_a_generation_that_boots(partition_bytes: int) -> None:
    medium = blank(partition_bytes)
    install(medium, 1)
    for seed in (2, 3, 4, 5):
        before = bytes(medium.data)
        plan = install(medium, seed, version=seed)
        assert plan.kept == (seed, seed - 1)
        assert plan.missing == 0
        old, new = loader(medium, seed - 1 or 1).slot, loader(medium, seed).slot
        seen = set()
        for state in power_cuts(before, medium.log, Random(seed)):
            slot, line = booted(state)
            assert slot in {old, new}
            assert line in {b"generation=%d" % (seed - 1), b"generation=%d" % seed}
            assert line != b"generation=%d" % seed or slot == new, "an old loader before a new generation"
            assert state[440:512] == before[440:512]
            seen.add((slot == new, line))
        assert len(seen) == 3
        assert booted(medium.data) == (new, b"generation=%d" % seed)


def test_the_boot_sector_changes_last() -> None:
    medium = blank(ROOM_FOR_MANY)
    install(medium, 1)
    before = bytes(medium.data)
    install(medium, 2, version=2)
    for state in power_cuts(before, medium.log, Random(1)):
        if state[:440] != before[:440]:
            assert booted(state) == (loader(medium, 2).slot, b"generation=2")
    assert medium.data[:440] == loader(medium, 2).boot_code


def test_an_update_that_was_cut_off_is_made_good_by_the_next() -> None:
    medium = blank(ROOM_FOR_TWO)
    install(medium, 1)
    install(medium, 2, version=2)
    before = bytes(medium.data)
    install(medium, 3, version=3)
    states = list(power_cuts(before, medium.log, Random(7)))
    for state in states[:: len(states) // 12]:
        again = MemoryDisk(bytearray(state))
        install(again, 4, version=4)
        for second in power_cuts(bytes(state), again.log, Random(8)):
            assert booted(second)[1] in {b"generation=2", b"generation=3", b"generation=4"}
        assert booted(again.data) == (loader(medium, 4).slot, b"generation=4")


def test_a_loader_that_is_the_same_is_not_written() -> None:
    medium = blank(ROOM_FOR_MANY)
    install(medium, 1)
    install(medium, 2)
    offsets = [entry[0] - START for entry in medium.log if entry]
    assert min(offsets) == disk.MANIFEST_OFFSET + disk.MANIFEST_SLOT_BYTES


def test_slot_b_is_written_before_slot_a() -> None:
    medium = blank(ROOM_FOR_MANY)
    install(medium, 1)
    install(medium, 2, version=2)
    slots = [entry[0] - START for entry in medium.log if entry and START <= entry[0] < START + disk.MANIFEST_OFFSET]
    b = disk.LOADER_SLOT_BYTES
    assert slots == [b, b + 512, b, 0, 512, 0]


def test_manifests_that_do_not_fit_the_partition_are_made_invalid() -> None:
    """A machine believes a manifest by its checksum; one from before the partition was made smaller must not win."""
    medium = blank(ROOM_FOR_MANY)
    plan = install(medium, 1)
    for slot, sequence in ((0, 7), (1, 9)):
        blobs = tuple(replace(blob.record, table=blob.record.table + ROOM_FOR_MANY) for blob in plan.blobs)
        manifest = disk.Manifest(sequence, blobs).encode()
        place = START + disk.MANIFEST_OFFSET + slot * disk.MANIFEST_SLOT_BYTES
        medium.data[place : place + len(manifest)] = manifest
    plan = install(medium, 2)
    other = START + disk.MANIFEST_OFFSET + (1 - plan.slot) * disk.MANIFEST_SLOT_BYTES
    assert not any(medium.data[other : other + 512])
    assert booted(medium.data)[1] == b"generation=2"


@pytest.mark.parametrize("place", [5000, 0x4000])
@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_loader_slot_is_mended_first(damaged: int, place: int) -> None:
    medium = blank(ROOM_FOR_MANY)
    install(medium, 1)
    medium.data[START + damaged * disk.LOADER_SLOT_BYTES + place] ^= 4
    before = bytes(medium.data)
    assert booted(bytearray(before))[1] == b"generation=1"
    install(medium, 2, version=2)
    for state in power_cuts(before, medium.log, Random(3)):
        assert booted(state)[1] in {b"generation=1", b"generation=2"}


def test_the_generation_that_is_whole_is_kept_not_the_newest() -> None:
    medium = blank(ROOM_FOR_MANY)
    install(medium, 1)
    newest = install(medium, 2)
    medium.data[START + newest.blobs[0].chunks[1].offset + 99] ^= 1
    assert [generation.sequence for generation in examine(boot_of(medium)).whole] == [1]
    before = bytes(medium.data)
    plan = install(medium, 3)
    assert plan.kept == (3, 1)
    assert plan.slot == plan.invalidate[0] == newest.slot
    states = list(power_cuts(before, medium.log, Random(6)))
    after_first_flush = [state for state in states if not any(state[START + disk.MANIFEST_OFFSET + 0x1000 :][:512])]
    assert after_first_flush
    assert {booted(state)[1] for state in after_first_flush} == {b"generation=1"}


def test_where_only_one_fits_the_old_one_is_given_up_first() -> None:
    medium = blank(ROOM_FOR_ONE)
    install(medium, 1)
    before = bytes(medium.data)
    plan = install(medium, 2)
    assert plan.kept == (2,)
    assert plan.invalidate == (0,)
    shortage = 2 * sum(blob.packed.room for blob in plan.blobs) - (ROOM_FOR_ONE - disk.DATA_OFFSET)
    assert plan.missing == shortage
    for state in power_cuts(before, medium.log, Random(4)):
        with suppress(FormatInvalid):
            assert booted(state)[1] in {b"generation=1", b"generation=2"}
    assert booted(medium.data)[1] == b"generation=2"


def test_what_fits_in_no_case_is_refused_by_how_much() -> None:
    medium = blank(ROOM_FOR_ONE)
    install(medium, 1)
    before = bytes(medium.data)
    with pytest.raises(NoRoom) as caught:
        install(medium, 2, kernel_bytes=600_000)
    with payload(2, 600_000) as content:
        needed = content.room + disk.DATA_OFFSET
    assert caught.value.message == (
        f"The content needs {needed} bytes, the boot partition has {ROOM_FOR_ONE}: "
        f"it is {needed - ROOM_FOR_ONE} bytes too small."
    )
    assert medium.data == before


def test_generations_of_growing_sizes_share_a_partition() -> None:
    medium = blank(ROOM_FOR_MANY)
    for seed in range(1, 9):
        before = bytes(medium.data)
        plan = install(medium, seed, kernel_bytes=KERNEL_BYTES + seed * 100_000)
        assert len(plan.kept) == min(seed, 2)
        if seed > 1:
            for state in power_cuts(before, medium.log, Random(seed)):
                assert booted(state)[1] in {b"generation=%d" % (seed - 1), b"generation=%d" % seed}


def test_rubbish_in_the_partition_is_cleared_from_its_head() -> None:
    medium = blank(ROOM_FOR_MANY)
    medium.data[START : START + disk.DATA_OFFSET] = Random(5).randbytes(disk.DATA_OFFSET)
    install(medium, 1)
    head = medium.data[START : START + disk.DATA_OFFSET]
    assert head[: 2 * disk.LOADER_SLOT_BYTES] == loader(medium, 1).slot * 2
    assert not any(head[disk.MANIFEST_OFFSET + disk.MANIFEST_SLOT_BYTES :])
    assert booted(medium.data)[1] == b"generation=1"


def test_sequence_numbers_do_not_wrap() -> None:
    medium = blank(ROOM_FOR_MANY)
    plan = install(medium, 1)
    manifest = disk.Manifest(disk.LAST_SEQUENCE - 1, tuple(blob.record for blob in plan.blobs)).encode()
    medium.data[START + disk.MANIFEST_OFFSET : START + disk.MANIFEST_OFFSET + len(manifest)] = manifest
    assert install(medium, 2).sequence == disk.LAST_SEQUENCE
    assert booted(medium.data)[1] == b"generation=2"
    with pytest.raises(ImageInvalid, match="The newest generation on the disk has the last sequence number"):
        install(medium, 3)


class FailingDisk(MemoryDisk):
    """A disk that takes what is written to one place, and gives back something else."""

    bad: Callable[[int], bool]

    def write(self, offset: int, data: bytes) -> None:
        super().write(offset, data)
        if self.bad(offset):
            self.data[offset] ^= 1


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (lambda offset: offset == 0, "sector 0"),
        (lambda offset: offset == START, "loader slot A"),
        (lambda offset: offset == START + disk.LOADER_SLOT_BYTES + 512, "loader slot B"),
        (lambda offset: offset == START + disk.MANIFEST_OFFSET, "the manifest"),
        (lambda offset: offset == START + disk.DATA_OFFSET, "the chunk table of vmlinux"),
        (lambda offset: offset == START + disk.DATA_OFFSET + 4 * 0x1000, "vmlinux at 0x94000"),
    ],
)
def test_what_reads_back_otherwise_is_an_error(bad: Callable[[int], bool], what: str) -> None:
    medium = FailingDisk(blank(ROOM_FOR_MANY).data)
    medium.bad = lambda offset: bad(offset) and (offset != START or len(medium.log) > 6)
    with pytest.raises(ImageInvalid) as caught:
        install(medium, 1)
    assert caught.value.message == f"What was written differs from what reads back: {what}."

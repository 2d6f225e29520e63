"""Does the bench read what a machine tells it? What it measures is nobody's promise, and is not tested."""

import struct
import zlib
from typing import Any

import capstone
import pytest
from bench import boots, doors, journey, own_kernel, stages, stub
from bench.disk_hook import Counters

from bootslang import Kernel
from bootslang.boot.context import CONTEXT_MAGIC, SPENT_CHECKING, SPENT_READING, SPENT_UNPACKING, BootContext
from bootslang.boot.handoff import MAGIC, BootInformation


def context(**spent: int) -> BootContext:
    """What a boot leaves that began at 1000 and left stage 4 at 2000."""
    made = BootContext.zeroed()
    made.magic = CONTEXT_MAGIC
    for index, value in {2: 1010, 3: 1110, 4: 1310, 5: 2000}.items():
        made.stamps[index] = value
    made.spent[SPENT_READING] = spent.get("reading", 0)
    made.spent[SPENT_CHECKING] = spent.get("checking", 0)
    made.spent[SPENT_UNPACKING] = spent.get("unpacking", 0)
    return made


def counters() -> Counters:
    return Counters(start=1000, spent=50, began=0, bios=0, calls=7, reads=5, sectors=99)


def test_the_phases_add_up_to_the_whole() -> None:
    """Is every instruction between the BIOS's jump and the kernel counted once?"""
    found = journey.journey_of(context(reading=300, checking=200, unpacking=100), counters(), 2003)
    assert (found.stage1, found.stage2, found.stage3) == (10, 100, 200)
    assert (found.reading, found.checking, found.unpacking, found.placing) == (300, 200, 100, 93)
    assert found.total == 1003
    assert found.own == 953
    assert (found.calls, found.reads, found.sectors) == (7, 5, 99)


def test_memory_without_a_context_is_refused() -> None:
    """Is another loader's memory taken for ours?"""
    with pytest.raises(ValueError, match="the machine's memory holds no BootContext"):
        journey.journey_of(BootContext.zeroed(), counters(), 2003)


def test_packets_are_framed_and_checked() -> None:
    """Are the stub's packets as the protocol has them, and damaged ones refused?"""
    assert stub.frame("m7c00,2") == b"$m7c00,2#c5"
    assert stub.unframe(b"$OK#9a") == "OK"
    for damaged in (b"$OK#9b", b"OK#9a", b"$OK"):
        with pytest.raises(stub.StubError):
            stub.unframe(damaged)


def test_a_bzimage_stops_at_its_64_bit_entry() -> None:
    """Do the kernel's new first instructions stand where a loader jumps to, and is all else as it was?"""
    kernel = bytearray(range(256)) * 16
    kernel[journey.SETUP_SECTORS] = 2
    found = journey.patch_bzimage(bytes(kernel))
    at = 3 * 512 + 512
    assert found[at : at + len(journey.KERNEL_START)] == journey.KERNEL_START
    assert (
        found[:at] + found[at + len(journey.KERNEL_START) :] == kernel[:at] + kernel[at + len(journey.KERNEL_START) :]
    )
    assert len(found) == len(kernel)


def test_an_elf_stops_at_its_entry() -> None:
    """Is the entry's place in the file found by the segment that holds it, and an entry outside all refused?"""
    head = bytearray(0x1000)
    struct.pack_into("<QQ", head, 24, 0x100_0040, 64)
    struct.pack_into("<HH", head, 54, 56, 2)
    struct.pack_into("<IIQQQQ", head, 64, 4, 0, 0, 0, 0x100_0000, 0x1000)
    struct.pack_into("<IIQQQQ", head, 64 + 56, 1, 0, 0x200, 0xFFFF_FFFF_8100_0000, 0x100_0000, 0x800)
    found = journey.patch_elf(bytes(head))
    assert found[0x240 : 0x240 + len(journey.KERNEL_START)] == journey.KERNEL_START
    struct.pack_into("<Q", head, 24, 0x100_0800)
    with pytest.raises(ValueError, match="none of its segments"):
        journey.patch_elf(bytes(head))


def test_a_budget_is_kept_or_not() -> None:
    """Does the table say it when a stage is too large?"""
    size = stages.Size("64-bit", "none", "stage 1", 441, 441, 441, 440)
    assert size.verdict == "OVER by 1"
    assert stages.Size("64-bit", "none", "stage 1", 430, 430, 430, 440).verdict == "ok, 10 left"
    assert stages.Size("64-bit", "none", "stage 3", 430, 430, 430, None).verdict == ""


def test_counts_that_differ_are_told() -> None:
    """Is it said by how much the runs differ, and where?"""
    found = journey.journey_of(context(), counters(), 2003)
    same = boots.Boot("ELF", "none", "IDE", found, 0, 1.0)
    other = boots.Boot("ELF", "none", "AHCI", found, 12, 1.0)
    assert boots.repetition([same]).endswith("were the same in 3 runs in 1 of 1 boots.")
    assert "in 1 of 2 boots; the most that others differed by is 12 (ELF, none, AHCI)" in boots.repetition(
        [same, other]
    )


def test_the_way_from_a_door_adds_up() -> None:
    """Is every instruction up to the kernel counted once, and other memory not taken for boot information?"""
    information = BootInformation.zeroed()
    with pytest.raises(ValueError, match="RDI points to no boot information"):
        doors.passage_of("PVH", "module", 100, information, 900)
    information.magic = MAGIC
    information.stamps[4], information.stamps[5] = 300, 850
    found = doors.passage_of("PVH", "module", 100, information, 900)
    assert (found.before, found.lift, found.jump, found.total) == (200, 550, 50, 800)


def test_numbers_and_their_budgets() -> None:
    assert doors.verdict(1000, 1000) == "ok, 0 left"
    assert doors.verdict(3000, 1000) == "OVER by 2,000"


def test_what_notes_the_start_goes_on_at_the_loader() -> None:
    """Does the code end with a jump to the loader, and change no register but those that it puts back?"""
    disassembler: Any = capstone
    machine = disassembler.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_32)
    code = list(machine.disasm(doors.clock_code(0x20_0020), doors.CLOCK_CODE))
    assert [f"{each.mnemonic} {each.op_str}" for each in code] == [
        "mov dword ptr [0x508], eax",
        "mov dword ptr [0x50c], edx",
        "rdtsc ",
        "mov dword ptr [0x500], eax",
        "mov dword ptr [0x504], edx",
        "mov eax, dword ptr [0x508]",
        "mov edx, dword ptr [0x50c]",
        "jmp 0x200020",
    ]


def test_the_kernel_of_our_own_is_one() -> None:
    """Is it taken for what it is, 1 MiB large, and does not compress?"""
    data = own_kernel.own_kernel()
    assert len(data) == own_kernel.KERNEL_BYTES == 1 << 20
    assert Kernel.read(data).kind == "handoff"
    assert len(zlib.compress(data, 1)) > len(data) * 0.95

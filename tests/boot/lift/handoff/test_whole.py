"""Does the whole hand-off, from what a door has left to the kernel's first instruction, leave what the protocol says?

Stage 4 runs natively on the memory of a machine that is a piece of this process. The page tables that it leaves are
walked as a CPU does it, and the boot information is read through them.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import xxhash

from bootslang import Bundle
from bootslang.boot.context import KERNEL, LOADER, MODULE
from bootslang.boot.handoff import STACK_BYTES
from bootslang.slang import BootError
from support.hand_off import IMAGE, IMAGE_PARTS, PAGE, HandoffDoor
from support.lift import boot
from support.own_kernels import DYNAMIC, READ_WRITE, RELRO, OwnKernel, Part, dynamic, relocation
from support.page_walk import pages
from support.payloads import MIB

HIGH = 0xFFFF_FFFF_8000_0000
TABLE, DATA, DYNAMIC_AT = 0x1000, 0x2000, 0x3100
ROWS = relocation(DATA + 8, 0x123) + relocation(DATA + PAGE, 0x456)
SECTION = dynamic((7, TABLE), (8, len(ROWS)), (9, 24))
CODE = b"code" * 100
PIE = OwnKernel(
    [
        Part(0, CODE),
        Part(TABLE, ROWS, flags=4),
        Part(DATA, bytes(DYNAMIC_AT - DATA) + SECTION, memory=0x2345, flags=READ_WRITE),
    ],
    entry=0x40,
    pieces=[(DYNAMIC, DYNAMIC_AT, len(SECTION)), (RELRO, DATA, PAGE)],
)


def test_a_kernel_that_moves_is_whole_relocated_and_seen_with_its_rights() -> None:
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB + 123)
        found = door.hand_off()
        assert found.entry == HIGH + 0x40
        assert found.read(HIGH, PAGE) == CODE.ljust(PAGE, b"\0")
        assert found.read(HIGH + DATA, PAGE)[:24] == bytes(8) + (HIGH + 0x123).to_bytes(8, "little") + bytes(8)
        assert found.read(HIGH + DATA + PAGE, 8) == (HIGH + 0x456).to_bytes(8, "little")
        assert found.read(HIGH + DATA + 2 * PAGE, PAGE) == bytes(PAGE)
        rights = [(page.virtual - HIGH, page.rights) for page in found.pages if page.virtual >= HIGH]
        assert rights == [(0, "r-x"), (TABLE, "r--"), (DATA, "r--"), (DATA + PAGE, "rw-"), (DATA + 2 * PAGE, "rw-")]


def test_the_boot_information_tells_where_everything_is() -> None:
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB, b"root=ram0 quiet")
        found = door.hand_off()
        told = found.information
        assert (told.kernel_virtual, told.kernel_shift, told.kernel_size) == (HIGH, HIGH, DATA + 0x2345)
        assert found.physical(HIGH) == told.kernel_physical
        assert found.text(told.command_line, told.command_line_size) == b"root=ram0 quiet"
        assert found.text(told.door_name, told.door_name_size) == b"Multiboot 2"
        assert found.physical(told.direct_map + door.base) == door.base
        assert told.direct_map_size == 4 << 30
        assert found.stack_top % 16 == 0


def test_the_stack_is_as_large_as_promised_and_ends_in_nothing() -> None:
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB)
        found = door.hand_off()
        mapped = {page.virtual for page in found.pages if page.size == PAGE}
        assert {found.stack_top - at for at in range(PAGE, STACK_BYTES + 1, PAGE)} <= mapped
        assert found.stack_top - STACK_BYTES - PAGE not in mapped


def test_no_page_is_both_written_and_executed() -> None:
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB)
        assert "rwx" not in {page.rights for page in door.hand_off().pages}


def test_every_byte_of_ram_is_accounted_for() -> None:
    """What no page table leads to and nobody holds is free again: the kernel's own file, staging."""
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB + 5)
        door.add(b"module" * 1000, 44 * MIB + 5)
        found = door.hand_off()
        regions = found.regions
        assert (regions[0][0], regions[-1][1]) == (0, 64 * MIB)
        assert all(one[1] == other[0] for one, other in pairwise(regions))
        size = {
            kind: sum(end - start for start, end, held in regions if held == kind) for kind in (LOADER, KERNEL, MODULE)
        }
        assert size[KERNEL] == 5 * PAGE
        assert size[MODULE] == 2 * PAGE
        assert (IMAGE, IMAGE + IMAGE_PARTS["__bss_end"], LOADER) in regions
        free = [(start, end) for start, end, kind in regions if kind == 1]
        assert any(start <= 40 * MIB < 48 * MIB <= end for start, end in free)


def test_the_page_tables_take_no_page_too_much() -> None:
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB)
        found = door.hand_off()
        root = found.information.page_table - door.base
        (region,) = [region for region in found.regions if region[0] <= root < region[1]]
        assert region[2] == LOADER
        tables: set[int] = set()

        def noted(place: int, size: int) -> bytes:
            tables.add(place)
            return door.read(place, size)

        pages(found.information.page_table, noted)
        assert sorted(tables) == [found.information.page_table + PAGE * index for index in range(len(tables))]


@pytest.mark.parametrize("offset", [44 * MIB, 44 * MIB + 1, 45 * MIB - 7])
def test_modules_have_whole_pages_of_their_own(offset: int) -> None:
    contents = [b"one" * 5000, b"", b"three" * 3]
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB)
        for index, content in enumerate(contents):
            door.add(content, offset + index * 0x6001, b"module %d" % index)
        found = door.hand_off()
        assert [module.size for module in found.modules] == [len(content) for content in contents]
        for index, (module, content) in enumerate(zip(found.modules, contents, strict=True)):
            assert found.text(module.name, module.name_size) == b"module %d" % index
            assert module.checksum == xxhash.xxh64_intdigest(content)
            if content:
                assert module.physical % PAGE == 0
                assert found.physical(module.address) == module.physical
                assert found.read(module.address, module.size) == content
        held = sorted(module.physical for module in found.modules if module.size)
        assert all(other - one >= PAGE for one, other in pairwise(held))
        assert sum(end - start for start, end, kind in found.regions if kind == MODULE) == 5 * PAGE


def test_a_module_at_the_start_of_a_page_stays_where_it_is() -> None:
    with HandoffDoor() as door:
        door.add(PIE.file, 40 * MIB)
        place = door.add(b"module" * 1000, 44 * MIB)
        assert [module.physical for module in door.hand_off().modules] == [place]


def test_a_bundle_is_handed_over_as_files_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "kernel").write_bytes(PIE.file)
    (folder / "tools").write_bytes(b"tools" * 10_000)
    built = folder / "bundle"
    Bundle(kernel=folder / "kernel", initrds=[folder / "tools"], command_line="from a bundle").build(built)
    with HandoffDoor() as door:
        door.add(built.read_bytes(), 40 * MIB)
        found = door.hand_off()
        assert found.entry == HIGH + 0x40
        assert found.read(HIGH, len(CODE)) == CODE
        assert found.text(found.information.command_line, found.information.command_line_size) == b"from a bundle"
        (module,) = found.modules
        assert found.text(module.name, module.name_size) == b"tools"
        assert found.read(module.address, 5) == b"tools"
        assert module.checksum == xxhash.xxh64_intdigest(b"tools" * 10_000)


def test_a_large_kernel_has_large_pages() -> None:
    large = OwnKernel([Part(0x40_5000, CODE), Part(0x40_6000, b"data", memory=5 * MIB, flags=READ_WRITE)])
    with HandoffDoor() as door:
        door.add(large.file, 40 * MIB)
        found = door.hand_off()
        assert found.information.kernel_virtual == HIGH + 0x5000
        sizes = [page.size for page in found.pages if page.virtual >= HIGH]
        assert sizes.count(2 * MIB) == 1
        held = [(start, end) for start, end, kind in found.regions if kind == KERNEL]
        assert sum(end - start for start, end in held) == 5 * MIB + PAGE


def test_scattered_memory_will_do() -> None:
    """There is no 2 MiB in one piece at the right place, but enough for the kernel's 2 MiB and a page."""
    kernel = OwnKernel([Part(0, CODE), Part(PAGE, memory=2 * MIB, flags=READ_WRITE)])
    with HandoffDoor() as door:
        door.add(kernel.file, 1 * MIB)
        for place in range(2 * MIB, 64 * MIB, 4 * MIB):
            door.reserve(door.base + place, MIB - PAGE, 2)
        found = door.hand_off()
        assert found.read(HIGH, len(CODE)) == CODE


def test_a_kernel_larger_than_memory_is_told() -> None:
    with HandoffDoor() as door:
        door.add(OwnKernel([Part(0, CODE, memory=65 * MIB)]).file, 40 * MIB)
        with pytest.raises(BootError, match="not enough memory for the kernel: 66560 KiB are needed"):
            boot(door.context)

"""Are the doors of an ELF file found, and does each that a loader would refuse or misread get a message of its own?"""

import struct

import pytest

from bootslang.doors import Doors, Relocation, read_doors
from bootslang.errors import KernelInvalid
from support.door_files import (
    BASE,
    END,
    HEADERS_AT,
    RELOCATABLE,
    DoorFile,
    header_tag,
    multiboot1,
    multiboot2,
    note,
    words,
)

ENTRY64 = note(18, struct.pack("<Q", BASE))
MOVABLE = note(19, words(0x1000, 0x10_0000, 0xFFFF_FFFF))
ANYWHERE = Relocation(0x10_0000, 0xFFFF_FFFF, 0x1000)


def refusal(file: DoorFile) -> str:
    with pytest.raises(KernelInvalid) as error:
        read_doors(file.data)
    return error.value.message


def test_all_doors_of_an_elf32() -> None:
    second = multiboot2(header_tag(1, 1, 6, flags=1), header_tag(6), RELOCATABLE, END)
    notes = note(18, struct.pack("<I", BASE + 4)) + MOVABLE
    found = read_doors(DoorFile(second + multiboot1(), notes, bits=32).data)
    assert found == Doors(HEADERS_AT + len(second), HEADERS_AT, ANYWHERE, BASE + 4, ANYWHERE)
    assert found.names == ("Multiboot 1", "Multiboot 2", "PVH")


def test_a_file_without_doors() -> None:
    assert read_doors(DoorFile().data) == Doors()
    assert read_doors(DoorFile(notes=note(3, b"build id", b"GNU\0") + note(1, b"")).data).names == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it begins with : no ELF file for x86"),
        (b"\x7fELF\x02\x02\x01" + bytes(60), "it begins with 7f 45 4c 46 02 02 01: no ELF file for x86"),
        (DoorFile().data[:63], "an ELF file of 63 bytes is cut off"),
        (DoorFile(machine=183).data, "an ELF file for machine 183: 62 is x86's in its class"),
        (DoorFile(bits=32, machine=62).data, "an ELF file for machine 62: 3 is x86's in its class"),
        (DoorFile().data[:64], "2 program headers at 0x40 reach beyond the file's 64 bytes"),
    ],
)
def test_no_elf_file_for_x86(data: bytes, message: str) -> None:
    with pytest.raises(KernelInvalid) as error:
        read_doors(data)
    assert error.value.message == message


def test_program_headers_that_are_too_small() -> None:
    data = bytearray(DoorFile().data)
    struct.pack_into("<H", data, 54, 55)
    with pytest.raises(KernelInvalid, match="program headers of 55 bytes: 56 are due"):
        read_doors(bytes(data))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (multiboot1(off=1), "the Multiboot 1 header at 0x200 has a wrong checksum"),
        (
            multiboot1(0x8003),
            "the Multiboot 1 header has flags 0x8003: of the lower 16, only bits 0 to 2 are known",
        ),
        (
            multiboot1(0x1_0000, 0x10_0200, 0x10_0000, 0x10_4000, 0x10_8000, 0x10_8000),
            "the Multiboot 1 header enters at 0x108000, which is not loaded",
        ),
        (
            multiboot1(0x1_0000, 0x10_0200, 0x10_0000, 0, 0, 0xF_FFFF),
            "the Multiboot 1 header enters at 0xfffff, which is not loaded",
        ),
        (multiboot1(0x1_0000, 0x10_0200), "the Multiboot 1 header at 0x200 is cut off"),
        (multiboot2(END, off=1), "the Multiboot 2 header at 0x200 has a wrong checksum"),
        (multiboot2(END, architecture=4), "the Multiboot 2 header is for architecture 4: 0 is i386"),
        (multiboot2(END, size=15), "the Multiboot 2 header at 0x200 has 15 bytes, more than are there"),
        (multiboot2(END, size=0x8000), "the Multiboot 2 header at 0x200 has 32768 bytes, more than are there"),
        (multiboot2(), "the Multiboot 2 header has no end tag"),
        (multiboot2(RELOCATABLE), "the Multiboot 2 header has no end tag"),
        (multiboot2(END, size=23), "the Multiboot 2 header has no end tag"),
        (
            multiboot2(header_tag(6, size=0), END),
            "the Multiboot 2 header's tag 6 has 0 bytes: 8 to 16 are possible",
        ),
        (
            multiboot2(header_tag(6, size=4), END),
            "the Multiboot 2 header's tag 6 has 4 bytes: 8 to 16 are possible",
        ),
        (
            multiboot2(header_tag(1, size=17), END),
            "the Multiboot 2 header's tag 1 has 17 bytes: 8 to 16 are possible",
        ),
        (multiboot2(header_tag(10, 1, 2, 3), END), "the Multiboot 2 header's tag 10 has 20 bytes, not 24"),
        (multiboot2(header_tag(0, size=9)), "the Multiboot 2 header's tag 0 has 9 bytes: 8 to 8 are possible"),
        (multiboot2(header_tag(11), END), "the Multiboot 2 header's tag 11 is unknown, and not optional"),
        (
            multiboot2(header_tag(3, BASE + 0x1_0000), END),
            "Multiboot 2's entry 0x210000 lies in no segment that is loaded",
        ),
        (
            multiboot2(header_tag(10, 0x20_0000, 0x10_0000, 0x1000, 0), END),
            "the Multiboot 2 header wants 0x10000 bytes between 0x200000 and 0x100000: they do not fit",
        ),
        (
            multiboot2(header_tag(10, 0x10_0001, 0x11_0FFE, 0x1000, 0), END),
            "the Multiboot 2 header wants 0x10000 bytes between 0x100001 and 0x110ffe: they do not fit",
        ),
        (
            multiboot2(header_tag(10, 0x10_0000, 0xFFFF_FFFF, 0, 0), END),
            "the Multiboot 2 header wants the alignment 0x0: not a power of two",
        ),
        (
            multiboot2(header_tag(10, 0x10_0000, 0xFFFF_FFFF, 0x3000, 0), END),
            "the Multiboot 2 header wants the alignment 0x3000: not a power of two",
        ),
        (
            multiboot2(header_tag(10, 0x10_0000, 0xFFFF_FFFF, 0x1000, 3), END),
            "the Multiboot 2 header prefers place 3: 0 none, 1 low, 2 high",
        ),
    ],
)
def test_headers_that_a_loader_refuses_or_misreads(headers: bytes, message: str) -> None:
    assert refusal(DoorFile(headers)) == message


def test_a_range_that_is_just_large_enough() -> None:
    tag = header_tag(10, 0x10_0001, 0x11_0FFF, 0x1000, 0)
    found = read_doors(DoorFile(multiboot2(tag, END)).data)
    assert found.multiboot2_relocation == Relocation(0x10_0001, 0x11_0FFF, 0x1000)


@pytest.mark.parametrize(
    "places",
    [
        (0x10_0000, 0x10_0001, 0, 0),
        (0x10_0200, 0x10_0000, 0x10_0200, 0),
        (0x10_0200, 0x10_0000, 0x10_4000, 0x10_3FFF),
        (0xFFFF_FFFF, 0x10_0000, 0xF_FFFF, 0),
        (0x10_0200, 0x10_0000, 0, 0xF_FFFF),
    ],
)
def test_addresses_out_of_order(places: tuple[int, int, int, int]) -> None:
    header, start, data_end, end = places
    told = f"header {header:#x}, start {start:#x}, end of data {data_end:#x}, end {end:#x}"
    first = DoorFile(multiboot1(0x1_0000, *places, start))
    assert refusal(first) == f"the Multiboot 1 header has addresses out of order: {told}"
    second = DoorFile(multiboot2(header_tag(2, *places), END))
    assert refusal(second) == f"the Multiboot 2 header has addresses out of order: {told}"


def test_an_unknown_tag_that_is_optional() -> None:
    found = read_doors(DoorFile(multiboot2(header_tag(11, 7, flags=1), RELOCATABLE, END)).data)
    assert found.multiboot2_relocation == ANYWHERE


@pytest.mark.parametrize(("header", "name", "searched"), [(multiboot1(), "1", 8192), (multiboot2(END), "2", 32768)])
def test_a_header_is_looked_for_at_the_files_beginning_only(header: bytes, name: str, searched: int) -> None:
    """Is the last place found, and the one behind it told?"""
    summed = 12 if name == "1" else 16
    last = (searched - summed) // 8 * 8
    if name == "1":
        assert read_doors(DoorFile(header, headers_at=last + 4).data).multiboot1 == last + 4
    assert refusal(DoorFile(header, headers_at=last + 8)) == (
        f"the Multiboot {name} header at {last + 8:#x} lies beyond the first {searched} bytes of the file"
    )


def test_a_magic_number_in_the_wrong_place_is_no_header() -> None:
    assert read_doors(DoorFile(b"\0\0" + multiboot1()).data) == Doors()
    assert read_doors(DoorFile(b"\0\0\0\0" + multiboot2(END)).data) == Doors()
    twice = multiboot1(off=1) + multiboot1()
    assert read_doors(DoorFile(twice).data).multiboot1 == HEADERS_AT + 12


@pytest.mark.parametrize("header", [multiboot1(), multiboot2(END)])
@pytest.mark.parametrize("entry", [BASE - 1, BASE + 0x1_0000, 0])
def test_an_elf_entry_that_is_not_loaded(header: bytes, entry: int) -> None:
    name = "1" if header == multiboot1() else "2"
    message = f"Multiboot {name}'s entry {entry:#x} lies in no segment that is loaded"
    assert refusal(DoorFile(header, entry=entry)) == message


@pytest.mark.parametrize("size", [4, 8])
def test_a_pvh_note_of_either_size(size: int) -> None:
    found = read_doors(DoorFile(notes=note(18, (BASE + 8).to_bytes(size, "little"))).data)
    assert (found.pvh_entry, found.pvh_relocation, found.names) == (BASE + 8, None, ("PVH",))


@pytest.mark.parametrize(
    ("content", "relocation"),
    [
        (words(), Relocation(0, 0xFFFF_FFFF, 0x20_0000)),
        (words(0x1000), Relocation(0, 0xFFFF_FFFF, 0x1000)),
        (words(0x1000, 0x10_0000), ANYWHERE),
    ],
)
def test_numbers_that_the_relocation_note_leaves_out(content: bytes, relocation: Relocation) -> None:
    assert read_doors(DoorFile(notes=ENTRY64 + note(19, content)).data).pvh_relocation == relocation


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        (note(18, b""), "the PVH note has 0 bytes: 4 or 8 are due"),
        (note(18, bytes(5)), "the PVH note has 5 bytes: 4 or 8 are due"),
        (note(18, bytes(12)), "the PVH note has 12 bytes: 4 or 8 are due"),
        (note(18, words(BASE - 1)), "PVH's entry 0x1fffff lies in no segment that is loaded"),
        (note(18, words(BASE, 1)), "PVH's entry 0x100200000 lies in no segment that is loaded"),
        (
            ENTRY64 + note(18, words(BASE + 4, 0)),
            "there are two PVH notes of type 18, and they differ: loaders take this one or that",
        ),
        (ENTRY64 + bytes(4), "the notes end with 4 bytes that are no note"),
        (ENTRY64[:-4], "a note of type 18 has a name of 4 and 8 bytes: it is cut off"),
        (
            note(18, words(BASE, 0), sizes=(0xFFFF_FFFF, 8)),
            "a note of type 18 has a name of 4294967295 and 8 bytes: it is cut off",
        ),
        (
            note(18, words(BASE, 0), sizes=(4, 0xFFFF_FFFF)),
            "a note of type 18 has a name of 4 and 4294967295 bytes: it is cut off",
        ),
        (ENTRY64 + note(19, bytes(6)), "the PVH relocation note has 6 bytes: at most three numbers are due"),
        (ENTRY64 + note(19, bytes(16)), "the PVH relocation note has 16 bytes: at most three numbers are due"),
        (ENTRY64 + note(19, words(0)), "the PVH relocation note wants the alignment 0x0: not a power of two"),
        (
            ENTRY64 + note(19, words(4096, 0x20_0000, 0x10_0000)),
            "the PVH relocation note wants 0x10000 bytes between 0x200000 and 0x100000: they do not fit",
        ),
    ],
)
def test_notes_that_a_loader_refuses_or_misreads(notes: bytes, message: str) -> None:
    assert refusal(DoorFile(notes=notes)) == message


def test_notes_that_are_not_xens() -> None:
    assert read_doors(DoorFile(notes=note(18, words(BASE, 0), b"Zen\0")).data).pvh_entry is None
    assert read_doors(DoorFile(notes=note(18, words(BASE, 0), b"Xen")).data).pvh_entry is None
    assert (
        read_doors(DoorFile(notes=note(4, b"x", b"GNU\0") + note(6, b"odd", b"Lin") + ENTRY64).data).pvh_entry == BASE
    )


def test_two_notes_that_agree() -> None:
    assert read_doors(DoorFile(notes=ENTRY64 + ENTRY64).data).pvh_entry == BASE


def test_an_alignment_by_which_loaders_count_padding_differently() -> None:
    message = refusal(DoorFile(notes=ENTRY64, note_align=8))
    assert message == "the notes at 0x200 have the alignment 8: loaders differ on it"


def test_notes_beyond_the_file() -> None:
    data = DoorFile(notes=ENTRY64).data
    with pytest.raises(KernelInvalid, match=f"the notes at 0x200 reach beyond the file's {len(data) - 1} bytes"):
        read_doors(data[:-1])

"""Does a program that cannot be linked say so in its user's words?"""

from collections.abc import Callable

import pytest

from bootslang.slang.link import LinkError, LinkRequest, ObjectFile, Reserved, link

Compile = Callable[..., ObjectFile]


def refused(request: LinkRequest) -> str:
    with pytest.raises(LinkError) as caught:
        link(request)
    return str(caught.value)


def test_an_undefined_name_is_told_with_its_users_and_the_nearest_name(compiled: Compile) -> None:
    ir = """
    declare void @read_sektors()
    declare void @unheard_of()
    define void @read_sectors() section ".text.read_sectors" { ret void }
    define void @load() noinline section ".text.load" { call void @read_sektors()
      call void @read_sektors()
      call void @unheard_of()
      ret void }
    define void @start() section ".start" { call void @load()
      call void @read_sektors()
      ret void }"""
    assert refused(LinkRequest(name="stage 2", objects=(compiled(ir, name="loader.o"),), base=0x8000)) == (
        "stage 2: `read_sektors` is not defined; did you mean `read_sectors`?\n"
        "  used by load in loader.o\n"
        "  used by start in loader.o\n"
        "stage 2: `unheard_of` is not defined\n"
        "  used by load in loader.o"
    )


def test_a_weak_name_may_stay_undefined(compiled: Compile) -> None:
    ir = """@maybe = extern_weak global i8
    @pointer = constant ptr @maybe, section ".header" """
    assert link(LinkRequest(name="x", objects=(compiled(ir),), base=0x1000)).data == bytes(4)


def test_two_definitions_are_told_with_both_objects(compiled: Compile) -> None:
    ir = 'define void @start() section ".start" { ret void }'
    objects = (compiled(ir, name="one.o"), compiled(ir, name="two.o"))
    message = refused(LinkRequest(name="stage 3", objects=objects, base=0x10000))
    assert message == "stage 3: `start` is defined twice: by one.o and by two.o"


def test_the_linkers_own_names_are_taken(compiled: Compile) -> None:
    ir = '@__image_end = global i8 1, section ".header"'
    message = refused(LinkRequest(name="stage 3", objects=(compiled(ir),), base=0x10000))
    assert message == "stage 3: `__image_end` is defined twice: by the linker and by a.o"


TOO_LARGE = """
@header = constant [20 x i8] zeroinitializer, section ".header", align 1
@table = internal constant [400 x i8] zeroinitializer, section ".rodata.table", align 1
@room = internal global [100 x i8] zeroinitializer, section ".bss.room", align 1
define void @start() minsize optsize section ".start" { %a = load volatile i8, ptr @table
  store volatile i8 1, ptr @room
  ret void }"""


def test_too_many_bytes_are_told_with_the_largest_parts(compiled: Compile) -> None:
    request = LinkRequest(name="stage 1", objects=(compiled(TOO_LARGE),), base=0x7C00, file_limit=420)
    assert refused(request) == (
        "stage 1 is 433 bytes, 13 more than the 420 that fit\n"
        "the largest parts:\n"
        "      400  table\n"
        "      100  room\n"
        "       20  header\n"
        "       13  start"
    )


def test_too_much_memory_is_told_apart_from_too_many_bytes(compiled: Compile) -> None:
    request = LinkRequest(name="stage 1", objects=(compiled(TOO_LARGE),), base=0x7C00, file_limit=512, memory_limit=512)
    assert refused(request).startswith("stage 1 is 544 bytes in memory, 32 more than the 512 that fit\n")


def test_what_just_fits_is_no_error(compiled: Compile) -> None:
    request = LinkRequest(name="stage 1", objects=(compiled(TOO_LARGE),), base=0x7C00, file_limit=433, memory_limit=544)
    assert len(link(request).data) == 433


def test_an_overlap_is_told_with_what_is_overlapped(compiled: Compile) -> None:
    objects = (compiled(TOO_LARGE),)
    below, above = Reserved("the stack", 0x1000, 0x7C00), Reserved("stage 2", 0x7E20, 0x9000)
    assert link(LinkRequest(name="stage 1", objects=objects, base=0x7C00, reserved=(below, above)))
    near = Reserved("stage 2", 0x7E1F, 0x9000)
    assert refused(LinkRequest(name="stage 1", objects=objects, base=0x7C00, reserved=(below, near))) == (
        "stage 1 lies from 0x7c00 to 0x7e20 and overlaps stage 2, 0x7e1f to 0x9000"
    )


def test_widths_do_not_mix(compiled: Compile) -> None:
    ir = "define void @f{}() {{ ret void }}"
    objects = (compiled(ir.format(1), name="lift.o"), compiled(ir.format(2), target="long64", name="bzip2.o"))
    assert refused(LinkRequest(name="lift32", objects=objects, base=0x20000)) == (
        "lift32: lift.o is 32-bit code and bzip2.o is 64-bit code; one image cannot hold both"
    )


def test_an_executable_has_its_objects_width_and_begins_on_a_page(compiled: Compile) -> None:
    objects = (compiled('define void @start() section ".start" { ret void }', name="kernel.o"),)
    assert refused(LinkRequest(name="kernel", objects=objects, base=0x100000, kind="elf64")) == (
        "kernel: kernel.o is 32-bit code, which a 64-bit executable cannot hold"
    )
    assert refused(LinkRequest(name="kernel", objects=objects, base=0x100200, kind="elf32")) == (
        "kernel: the base of a 32-bit executable is a multiple of 4,096, and 0x100200 is not"
    )


@pytest.mark.parametrize(
    ("request_options", "message"),
    [
        ({"entry": "strat"}, "x: its entry, `strat`, is not defined; did you mean `start`?"),
        ({"keep": ("options",)}, "x: its symbol to keep, `options`, is not defined"),
    ],
)
def test_names_in_the_request_have_to_be_defined(
    compiled: Compile, request_options: dict[str, object], message: str
) -> None:
    objects = (compiled("define void @start() { ret void }"),)
    assert refused(LinkRequest(name="x", objects=objects, base=0x1000, **request_options)) == message  # type: ignore[arg-type]


def test_a_program_without_a_beginning_is_empty(compiled: Compile) -> None:
    objects = (compiled("define void @f() { ret void }"),)
    message = "x: it has neither an entry nor a section called .start or .header, so nothing is in it"
    assert refused(LinkRequest(name="x", objects=objects, base=0x1000)) == message
    assert refused(LinkRequest(name="x", objects=(), base=0x1000)) == "x: there is nothing to link"


def test_an_address_that_does_not_fit_is_told_with_its_place(compiled: Compile) -> None:
    ir = """@table = global [4 x i8] c"abcd", section ".data.table"
    define void @start() section ".start" {
      call void asm sideeffect inteldialect "mov ax, word ptr [table]", "~{ax}"()
      ret void }"""
    request = LinkRequest(name="stage 1", objects=(compiled(ir, target="real16"),), base=0x12000)
    assert refused(request) == (
        "stage 1: the address of `table`, 0x12005, does not fit into the 16 bits that start in a.o has for it "
        "(R_386_16)"
    )


def test_a_distance_that_does_not_fit_is_told_with_its_place(compiled: Compile) -> None:
    ir = """define void @start() section ".start" {
      call void asm sideeffect inteldialect "jecxz far_away", ""()
      ret void }"""
    request = LinkRequest(name="stage 2", objects=(compiled(ir),), base=0x8000, symbols={"far_away": 0x9000})
    assert refused(request) == (
        "stage 2: `far_away`, at 0x9000, is too far away for the 8-bit distance that start in a.o has for it "
        "(R_386_PC8)"
    )


def test_a_position_beyond_the_widths_reach_is_refused(compiled: Compile) -> None:
    objects = (compiled('define void @start() section ".start" { ret void }'),)
    assert refused(LinkRequest(name="x", objects=objects, base=0xFFFFFFFF)) == (
        "x lies from 0xffffffff to 0x100000001, beyond what 32-bit code can reach"
    )


def test_damaged_objects_are_named(compiled: Compile) -> None:
    good = compiled('define void @start() section ".start" { ret void }')
    for bad in (b"", b"\x7fELF", good.data[:80], b"MZ" + good.data):
        message = refused(LinkRequest(name="stage 2", objects=(ObjectFile("bad.o", bad),), base=0x8000))
        assert message.startswith("stage 2: bad.o is "), message


def test_any_cut_or_flipped_byte_is_a_link_error_or_another_image(compiled: Compile) -> None:
    good = compiled('@x = global ptr @start\ndefine ptr @start() section ".start" { ret ptr @x }').data
    for at in range(len(good)):
        for bad in (good[:at], good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]):
            try:
                link(LinkRequest(name="x", objects=(ObjectFile("bad.o", bad),), base=0x8000))
            except LinkError:
                continue

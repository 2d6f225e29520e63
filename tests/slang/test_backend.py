"""Does LLVM, in its worker process, give objects, and mistakes their own words?"""

import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from bootslang.slang.backend import Backend, BackendError, Job, Worker, explain, fingerprint
from bootslang.slang.targets import TARGETS, data_layout, triple

MACHINES = ("real16", "protected32", "long64")
ANSWER = "define i32 @answer() { ret i32 42 }"
DIVISION = "define i32 @f(i32 %x, i32 %y) { %z = udiv i32 %x, %y\n ret i32 %z }"


def with_assembly(text: str, operands: str = '""()') -> str:
    """A module whose one function is the assembly `text`, of which LLVM is told that it is source line 7."""
    quoted = text.replace("\n", "\\0A")
    return (
        f'define void @f() {{\n call void asm sideeffect inteldialect "{quoted}", {operands}, !srcloc !0\n'
        " ret void }\n!0 = !{i64 7}"
    )


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as shared:
        yield shared


@pytest.mark.parametrize(
    ("target", "machine", "bits"),
    [("real16", "EM_386", 32), ("protected32", "EM_386", 32), ("long64", "EM_X86_64", 64)],
)
def test_an_object_is_of_its_machine_and_width(backend: Backend, target: str, machine: str, bits: int) -> None:
    elf = ELFFile(BytesIO(backend.compile(ANSWER, target=target)))
    assert (elf["e_machine"], elf.elfclass, elf["e_type"]) == (machine, bits, "ET_REL")


@pytest.mark.parametrize("target", MACHINES)
def test_triple_and_layout_are_those_that_llvm_gives_a_module(backend: Backend, target: str) -> None:
    text = backend.optimise(ANSWER, target=target)
    assert f'target triple = "{triple(target)}"' in text
    assert f'target datalayout = "{data_layout(target)}"' in text


def test_the_host_is_a_target_of_its_own(backend: Backend) -> None:
    assert backend.compile(ANSWER, target="host")
    assert triple("host") == data_layout("host") == ""


def test_real_mode_code_is_sixteen_bit_code(backend: Backend) -> None:
    # In a 16-bit segment a 32-bit division by a word on the stack carries the prefixes for address and operand size.
    division = b"\x67\x66\xf7\x74\x24\x08"
    assert division in backend.compile(DIVISION, target="real16")
    assert division not in backend.compile(DIVISION, target="protected32")


@pytest.mark.parametrize("target", MACHINES)
def test_no_machine_uses_registers_that_nobody_switched_on(backend: Backend, target: str) -> None:
    # A 16-byte copy and a conditional: on a desktop CPU these become SSE moves and a CMOV.
    ir = """
    declare void @llvm.memcpy.p0.p0.i32(ptr, ptr, i32, i1)
    define i32 @f(ptr %to, ptr %from, i32 %x, i32 %y) {
      call void @llvm.memcpy.p0.p0.i32(ptr %to, ptr %from, i32 16, i1 false)
      %less = icmp ult i32 %x, %y
      %least = select i1 %less, i32 %x, i32 %y
      ret i32 %least
    }"""
    text = backend.assembly(ir, target=target)
    assert "xmm" not in text
    assert ("cmov" in text) == (target == "long64")


def test_listings_are_optimised_and_in_intel_syntax(backend: Backend) -> None:
    twice = "define i32 @f() { %x = add i32 20, 1\n %y = mul i32 %x, 2\n ret i32 %y }"
    assert "mov\teax, 42" in backend.assembly(twice, target="protected32")
    assert "ret i32 42" in backend.optimise(twice, target="protected32")


def test_a_wrong_mnemonic_is_an_error_with_its_site_and_the_process_lives(backend: Backend) -> None:
    with pytest.raises(BackendError) as caught:
        backend.compile(with_assembly("nop # boot.py:3\nmvo eax, 1 # boot.py:4"), target="protected32")
    error = caught.value
    assert error.kind == "assembly"
    assert error.message == "invalid instruction mnemonic 'mvo'"
    assert (error.text, error.column, error.site) == ("mvo eax, 1", 0, "boot.py:4")
    assert backend.compile(ANSWER, target="protected32")


@pytest.mark.parametrize(
    ("assembly", "message", "text", "column"),
    [
        ("mov [eax], 1", "ambiguous operand size for instruction 'mov'", "mov [eax], 1", 4),
        ("out dx, rax", "register %rax is only available in 64-bit mode", "out dx, rax", 8),
        ("x: nop\nx: nop", "symbol 'x' is already defined", "x: nop", 0),
        ("mov eax, [ebx + ecx*3]", "scale factor in address must be 1, 2, 4 or 8", "mov eax, [ebx + ecx*3]", 20),
    ],
)
def test_mistakes_in_assembly_are_pointed_at(
    backend: Backend, assembly: str, message: str, text: str, column: int
) -> None:
    error = backend.probe(with_assembly(assembly), target="protected32")
    assert error is not None
    assert (error.kind, error.message, error.text, error.column) == ("assembly", message, text, column)


@pytest.mark.parametrize(
    ("assembly", "operands", "message"),
    [
        ("nop", '"{xyz}"(i32 1)', "couldn't allocate input reg for constraint '{xyz}'"),
        ("nop", '"I"(i32 77)', "value out of range for constraint 'I'"),
        ("mov eax, ${0:z}", '"r"(i32 7)', "invalid operand in inline asm: 'mov eax, ${0:z}'"),
    ],
)
def test_a_wrong_operand_is_reported_with_its_cookie(
    backend: Backend, assembly: str, operands: str, message: str
) -> None:
    error = backend.probe(with_assembly(assembly, operands), target="protected32")
    assert error is not None
    assert (error.kind, error.message, error.cookie) == ("operand", message, 7)


def test_a_label_that_is_nowhere_is_a_mistake_in_assembly(backend: Backend) -> None:
    error = backend.probe(with_assembly("jmp 9f"), target="protected32")
    assert error is not None
    assert (error.kind, error.text) == ("assembly", "")
    assert error.message.startswith("Undefined temporary symbol")


def test_a_site_stands_behind_the_last_mark(backend: Backend) -> None:
    error = backend.probe(with_assembly("mvo # a user's own comment # boot.py:4"), target="protected32")
    assert error is not None
    assert (error.text, error.site) == ("mvo # a user's own comment", "boot.py:4")


def test_an_llvm_without_x86_assembler_is_said_to_be_missing() -> None:
    # What LLVM said in a process that had not initialised its assembly parser, as on arm64.
    error = explain(
        "LLVM ERROR: Inline asm not supported by this streamer because we don't have an asm parser for this target\n"
    )
    assert error.kind == "missing"
    assert error.message == "this build of llvmlite cannot assemble x86 code; compile on an x86-64 machine"


def test_a_missing_llvmlite_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootslang.slang.backend.util.find_spec", lambda _: None)
    with Backend() as absent:
        error = absent.probe(ANSWER, target="long64")
    assert error is not None
    assert error.kind == "missing"
    assert error.message == "compiling slang needs llvmlite; install it with: pip install 'bootslang[compile]'"
    with pytest.raises(BackendError, match="compiling slang needs llvmlite"):
        fingerprint("long64")


@pytest.mark.parametrize("target", MACHINES)
def test_a_function_of_another_unit_may_be_called_last(backend: Backend, target: str) -> None:
    # LLVM makes a jump of the call, which 16-bit code could not make to a symbol that is not hidden.
    ir = "declare i32 @other(i32)\ndefine i32 @f(i32 %x) { %y = tail call i32 @other(i32 %x)\n ret i32 %y }"
    assert backend.probe(ir, target=target) is None


def test_good_assembly_passes_the_probe(backend: Backend) -> None:
    assert backend.probe(with_assembly("nop"), target="protected32") is None


@pytest.mark.parametrize(
    ("ir", "words"),
    [
        ("define foo", "expected type"),
        ("define i32 @f() {\n %x = add i32 %x, 1\n ret i32 %x\n}", "Only PHI nodes may reference their own value!"),
        ('target triple = "riscv64"\ndefine void @f() { ret void }', "the module is for riscv64, not for i386-"),
    ],
)
def test_a_malformed_module_is_an_internal_error(backend: Backend, ir: str, words: str) -> None:
    error = backend.probe(ir, target="protected32")
    assert error is not None
    assert error.kind == "internal"
    assert words in error.message


def test_an_assertion_of_llvm_is_told_as_such() -> None:
    error = explain('python: X86.cpp:12: void f(): Assertion `A == B && "no"\' failed.\n #0 0x00007f\n')
    assert (error.kind, error.message) == ("internal", 'an assertion of LLVM failed: A == B && "no"')


def test_an_assertion_of_llvm_leaves_this_process_alive(backend: Backend) -> None:
    # Operand 3 of an assembly that has one: LLVM's wheels check themselves.
    error = backend.probe(with_assembly("mov eax, $3", '"r"(i32 7)'), target="protected32")
    assert error is not None
    assert error.kind == "internal"
    assert backend.compile(ANSWER, target="protected32")


def test_after_an_interruption_the_next_module_gets_its_own_answer(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Worker.ask

    def interrupted(worker: Worker, request: bytes) -> bytes:
        ask(worker, request)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backend.compile(ANSWER, target="long64")
    assert "i32 @f(" in backend.optimise(DIVISION, target="long64")


def test_a_worker_that_dies_without_a_word_is_an_internal_error() -> None:
    with Backend(command=(sys.executable, "-c", "")) as silent:
        error = silent.probe(ANSWER, target="long64")
    assert error is not None
    assert (error.kind, error.message) == ("internal", "LLVM ended unexpectedly: it printed nothing")


def test_several_units_compile_side_by_side_in_their_order(backend: Backend) -> None:
    jobs = [Job(ir=f"define i32 @f{index}() {{ ret i32 {index} }}", target="long64") for index in range(12)]
    objects = backend.compile_all(jobs)
    for index, code in enumerate(objects):
        symbols = ELFFile(BytesIO(code)).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        assert symbols.get_symbol_by_name(f"f{index}")


def test_loops_are_not_unrolled(backend: Backend) -> None:
    ir = """define i32 @sum(ptr %from) {
    entry:
      br label %loop
    loop:
      %index = phi i32 [ 0, %entry ], [ %next, %loop ]
      %total = phi i32 [ 0, %entry ], [ %sum, %loop ]
      %place = getelementptr i32, ptr %from, i32 %index
      %word = load volatile i32, ptr %place
      %sum = add i32 %total, %word
      %next = add i32 %index, 1
      %more = icmp ult i32 %next, 12
      br i1 %more, label %loop, label %done
    done:
      ret i32 %sum
    }"""
    # One reads the argument, one the words.
    assert backend.assembly(ir, target="protected32").count("dword ptr [") == 2


def test_the_first_bad_unit_of_several_is_the_error(backend: Backend) -> None:
    jobs = [Job(ir=ANSWER, target="long64"), Job(ir=with_assembly("mvo"), target="long64")]
    with pytest.raises(BackendError, match="invalid instruction mnemonic 'mvo'"):
        backend.compile_all(jobs)


@pytest.mark.parametrize("target", MACHINES)
def test_the_same_module_gives_the_same_bytes_in_another_process(backend: Backend, target: str) -> None:
    program = (
        "import sys; from bootslang.slang.backend import Backend\n"
        f"with Backend() as b: sys.stdout.buffer.write(b.compile({DIVISION!r}, target={target!r}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert other.stdout == backend.compile(DIVISION, target=target) == backend.compile(DIVISION, target=target)


def test_every_target_has_its_own_fingerprint() -> None:
    assert len({fingerprint(target) for target in TARGETS}) == len(TARGETS)


def test_importing_the_backend_does_not_import_llvm() -> None:
    program = "import sys, bootslang.slang.backend, bootslang.slang.link; sys.exit('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

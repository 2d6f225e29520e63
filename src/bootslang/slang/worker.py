"""The process in which LLVM runs: `python -m bootslang.slang.worker`, started by `backend.py` alone.

A wrong mnemonic in inline assembly makes LLVM end its process, and so does an assertion. So LLVM lives here, and its
last words on standard error are the parent's to read.

Requests arrive on standard input and answers leave on what was standard output when the process began. Either is a
frame: a 4-byte little-endian length, then that many bytes. A request is a JSON object on one line (`action`, `target`),
then the module's text. An answer is one letter, then its content: `K` and the result, or `E` and an error's text.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

import llvmlite.binding as llvm

from bootslang.slang.targets import TARGETS, TargetSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    TargetMachine = llvm.TargetMachine
    Module = llvm.ModuleRef

OPTIMISATION_LEVEL = 2
"""-O2 for every module; functions that have to be small carry `optsize` or `minsize`."""
INLINING_THRESHOLD = 50
"""LLVM's own is 225. With 50 and without unrolling a bzip2 decoder is a quarter smaller, and as fast."""


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame from `stream`, or None where it ends."""
    length = stream.read(4)
    if len(length) < 4:
        return None
    return stream.read(int.from_bytes(length, "little"))


def write_frame(stream: BinaryIO, *parts: bytes) -> None:
    """Write `parts` to `stream` as one frame."""
    stream.write(sum(map(len, parts)).to_bytes(4, "little"))
    stream.writelines(parts)
    stream.flush()


def target_machine(spec: TargetSpec) -> TargetMachine:
    """LLVM's target machine for `spec`."""
    cpu, features = spec.cpu, spec.features
    if not spec.triple:
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target: llvm.Target = llvm.Target.from_triple(spec.triple or llvm.get_default_triple())
    machine: TargetMachine = target.create_target_machine(
        cpu=cpu,
        features=features,
        opt=OPTIMISATION_LEVEL,
        reloc=spec.reloc,
        codemodel="small",
    )
    return machine


def parse(text: str, machine: TargetMachine) -> Module:
    """The verified module that `text` says, laid out for `machine`.

    The layout has to be known before the first instruction is read: alignments that the text leaves out follow from it.
    It shares the text's first line, so that LLVM's line numbers stay true.
    """
    head = f'target datalayout = "{machine.target_data}" target triple = "{machine.triple}" '
    module: Module = llvm.parse_assembly(head + text)
    module.verify()
    if module.triple != machine.triple:
        message = f"the module is for {module.triple}, not for {machine.triple}"
        raise RuntimeError(message)
    return module


def hide(module: Module) -> None:
    """Make every global symbol of a bare machine's module hidden: an image has no other to take its place.

    It spares 64-bit code the global offset table, and 16-bit code a jump through the procedure linkage table, for
    which LLVM has no relocation ("unsupported relocation type").
    """
    for symbol in (*module.functions, *module.global_variables):
        if symbol.linkage not in (llvm.Linkage.internal, llvm.Linkage.private) and not symbol.name.startswith("llvm."):
            symbol.visibility = llvm.Visibility.hidden


def optimise(module: Module, machine: TargetMachine) -> None:
    """Run the -O2 pipeline over `module`, in place."""
    options = llvm.create_pipeline_tuning_options(speed_level=OPTIMISATION_LEVEL)
    options.loop_unrolling = False
    options.inlining_threshold = INLINING_THRESHOLD
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def emit_object(module: Module, machine: TargetMachine) -> bytes:
    """The optimised object file."""
    optimise(module, machine)
    return bytes(machine.emit_object(module))


def emit_assembly(module: Module, machine: TargetMachine) -> bytes:
    """The optimised assembly text."""
    optimise(module, machine)
    return str(machine.emit_assembly(module)).encode()


def emit_ir(module: Module, machine: TargetMachine) -> bytes:
    """The optimised module's text."""
    optimise(module, machine)
    return str(module).encode()


ACTIONS: dict[str, Callable[[Module, TargetMachine], bytes]] = {
    "object": emit_object,
    "assembly": emit_assembly,
    "ir": emit_ir,
}


def answer(request: bytes) -> tuple[bytes, bytes]:
    """The letter and the content of the answer to `request`."""
    head, text = request.split(b"\n", 1)
    order = json.loads(head)
    machine = target_machine(TARGETS[order["target"]])
    try:
        module = parse(text.decode(), machine)
        if TARGETS[order["target"]].triple:
            hide(module)
        return b"K", ACTIONS[order["action"]](module, machine)
    except RuntimeError as error:
        return b"E", str(error).encode()


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else writes to standard output must not look like an answer
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    # Intel syntax is what slang's `asm` takes; listings are to look the same.
    llvm.set_option("", "--x86-asm-syntax=intel")
    while (request := read_frame(sys.stdin.buffer)) is not None:
        write_frame(answers, *answer(request))


if __name__ == "__main__":
    main()

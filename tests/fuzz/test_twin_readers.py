"""Does the machine take every kernel of one's own that the host takes, as the same one?

The host refuses first, with the better words. What it lets pass must not fail on a machine that reads the same bytes.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.context import PROTOCOL_GUESS
from bootslang.boot.disk import KERNEL_BZIMAGE, KERNEL_ELF, KERNEL_HANDOFF
from bootslang.boot.lift.handoff import kernel as reader
from bootslang.boot.lift.handoff import relocations
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.boot.lift.kind import kind_of
from bootslang.errors import InputInvalid
from bootslang.kernel import Kernel, KernelKind
from bootslang.slang import span
from support.elf_writer import NOTE, Row, data, movable, note, relocation, static, text
from support.fuzzing import field_changes, fuzzed, mutations
from support.guarded import Guarded
from support.payloads import MIB, Elf, Load, bzimage

KINDS = {
    KernelKind.ELF32: KERNEL_ELF,
    KernelKind.ELF64: KERNEL_ELF,
    KernelKind.BZIMAGE: KERNEL_BZIMAGE,
    KernelKind.HANDOFF: KERNEL_HANDOFF,
}
LINUX = Elf([Load(16 * MIB, b"code" * 9), Load(20 * MIB, b"data" * 5, memory=MIB, flags=6)])
FILES = [
    movable(relocation() + relocation(0x1008)).build(),
    movable(relocation(0x2FF8), base=MIB).build(),
    static().build(),
    static(text(), data(), Row(kind=NOTE, data=note(), virtual=0)).build(),
    LINUX.head + LINUX.body,
    bzimage(),
]
KERNELS = FILES[:4]


def changed(files: list[bytes]) -> st.SearchStrategy[bytes]:
    """Copies with bytes or whole fields of the first 600 bytes changed."""
    return st.sampled_from(files).flatmap(
        lambda file: st.one_of(mutations(file), field_changes(file, min(len(file), 600)))
    )


@given(changed(FILES))
@fuzzed
def test_a_bare_file_is_of_the_same_kind(file: bytes) -> None:
    """Is what GRUB passes on started as `build` would have it started?"""
    try:
        kernel = Kernel.read(file, allow_wx=True)
    except InputInvalid:
        return
    assert kind_of(span(file), PROTOCOL_GUESS) == KINDS[kernel.kind]


@given(changed(KERNELS), st.booleans())
@fuzzed
def test_the_machine_takes_what_the_host_takes(file: bytes, allow_wx: bool) -> None:  # noqa: FBT001
    try:
        kernel = Kernel.read(file, protocol="handoff", allow_wx=allow_wx)
    except InputInvalid:
        return
    head, *contents = kernel.pieces()
    found = HandoffKernel.zeroed()
    reader.read(span(head), kernel.blob_bytes, found)
    reader.check_rights(found, allow_wx)
    assert (found.low, found.end, found.entry) == (kernel.memory.start, kernel.memory.stop, kernel.entry)
    if len(kernel.memory) <= MIB:
        relocate(found, head + b"".join(contents))


def relocate(found: HandoffKernel, blob: bytes) -> None:
    """Put the kernel into memory and let the machine apply its relocations."""
    memory = bytearray(found.end - found.low)
    for segment in (found.segments.table[index] for index in range(found.segments.count)):
        start = segment.virtual - found.low
        contents = blob[segment.offset : segment.offset + segment.file_size]
        memory[start : start + len(contents)] = contents
    guarded = Guarded(len(memory), content=bytes(memory))
    found.move_to(guarded.span.address)
    relocations.apply(found)
    guarded.check()

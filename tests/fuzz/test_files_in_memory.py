"""Are damaged kernel files in memory refused, or taken as something whose bytes all lie in the file?"""

from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.context import PROTOCOL_GUESS, PROTOCOL_HANDOFF, PROTOCOL_LINUX
from bootslang.boot.disk import KERNEL_BZIMAGE, KERNEL_ELF, KERNEL_HANDOFF
from bootslang.boot.lift import kernel as reader
from bootslang.boot.lift.kernel import Kernel
from bootslang.boot.lift.kind import kind_of
from bootslang.slang import BootError, span
from support.fuzzing import fuzzed, mutations
from support.payloads import MIB, READ_WRITE, Elf, Load, bzimage, pc, taken

LOADS = [Load(16 * MIB, b"code" * 100), Load(18 * MIB, b"data" * 50, memory=4 * MIB, flags=READ_WRITE)]
NOTES = Load(0, b"\x0a\0\0\0\4\0\0\0\1\0\0\0Bootslang\0\0\0\1\0\0\0")
FILES = [
    *(elf.head + elf.body for elf in (Elf(LOADS), Elf(LOADS, bits=32))),
    Elf([*LOADS, NOTES], patches={64 + 2 * 56: b"\4"}).head + Elf([*LOADS, NOTES]).body,
    bzimage(),
]


@fuzzed
@given(
    file=st.one_of(*map(mutations, FILES), st.binary(max_size=2000)),
    protocol=st.sampled_from([PROTOCOL_GUESS, PROTOCOL_LINUX, PROTOCOL_HANDOFF]),
)
def test_damaged_files_are_refused_or_credible(file: bytes, protocol: int) -> None:
    memory, context = pc(256)
    kernel = Kernel.zeroed()
    try:
        kind = kind_of(span(file), protocol)
        assert kind in {KERNEL_ELF, KERNEL_BZIMAGE, KERNEL_HANDOFF}
        if kind == KERNEL_HANDOFF:
            return
        reader.read_head(kernel, kind, span(file), len(file))
        reader.place(kernel, memory, context)
    except BootError:
        return
    (place,) = taken(context)
    for index in range(kernel.vmlinux.segments.count if kind == KERNEL_ELF else 1):
        part = kernel.vmlinux.segments.table[index] if kind == KERNEL_ELF else kernel.image.part
        assert part.file_size <= part.memory_size
        assert not part.file_size or part.offset + part.file_size <= len(file)
        assert place[0] <= part.place
        assert part.place + part.memory_size <= place[0] + place[1]

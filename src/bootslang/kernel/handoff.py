"""A 64-bit kernel of the hand-off protocol (docs/handoff.md): one's own, not Linux.

It is linked to virtual addresses, or position-independent. The loader puts it into any free memory, as one piece, and
maps each segment with its own rights. So nothing here asks for physical addresses, and all depends on the virtual ones.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from bootslang.kernel import relocations
from bootslang.kernel.elf_file import (
    DYN,
    EXEC,
    EXECUTE,
    GNU_RELRO,
    INTERP,
    NOT_LINKED,
    WRITE,
    ElfFile,
    ProgramHeader,
    check_apart,
)
from bootslang.kernel.file import FileBytes
from bootslang.kernel.model import ADDRESS_BITS_MAX, LOW_MEMORY_END, PIECE_BYTES, Handoff, KernelKind, Limits

NOTE_NAME: Final = b"Bootslang\0"
NOTE_TYPE: Final = 1
VERSION: Final = 1
"""As in bootslang.boot.handoff, against which a test holds these three."""

PAGE_BYTES: Final = 0x1000
LOW_HALF_END: Final = 1 << 47
HIGH_HALF: Final = (1 << 64) - (1 << 47)
"""Between these there are no addresses with 4-level paging (Intel SDM volume 1, 3.3.7.1)."""
LAST_PAGE: Final = (1 << 64) - PAGE_BYTES
"""It stays free, so that no end of anything wraps around to 0."""
KERNEL_BYTES_MAX: Final = 1 << 30
"""From the lowest address to the highest: it has to be one piece of memory."""
ALIGNMENT_MAX: Final = 0x20_0000
"""Kernels move by multiples of it. These limits are those of bootslang.boot.lift.handoff, and a test holds them."""

_SEPARATE: Final = "Put code and data into segments of their own: `-z separate-code`, or PHDRS in the linker script."
_ALIGN: Final = "Align each to a page: `. = ALIGN(0x1000);` in the linker script, or link with `-z separate-code`."


def says_so(elf: ElfFile) -> bool:
    """Whether it has the note of a hand-off kernel, of whatever version."""
    return any((note.name, note.kind) == (NOTE_NAME, NOTE_TYPE) for note in elf.notes)


def read(elf: ElfFile, *, allow_wx: bool) -> dict[str, Any]:
    """Return what `Kernel` is made of, or raise `KernelInvalid`."""
    file = elf.file
    _check_file(elf)
    _check_entry(elf)
    for load in elf.loads:
        _check_place(elf, load)
    check_apart(file, ((load.number, range(load.virtual, load.end)) for load in elf.loads))
    memory = _span(elf)
    _check_pages(elf)
    risks = tuple(_writable_code(elf))
    if risks and not allow_wx:
        raise file.fault(f"{risks[0]}, against the protocol's W^X", f"{_SEPARATE} `--allow-wx` starts it as it is.")
    relro = [_home(elf, entry) for entry in elf.of_type(GNU_RELRO) if entry.memory_bytes]
    dynamic = relocations.dynamic_of(elf)
    return {
        "file": file,
        "kind": KernelKind.HANDOFF,
        "bits": 64,
        "entry": elf.header.entry,
        "segments": tuple(load.segment for load in elf.loads),
        "memory": memory,
        "limits": _limits(file),
        "handoff": Handoff(
            position_independent=elf.header.type == DYN,
            relocations=relocations.check(elf, dynamic),
            risks=risks,
        ),
        "contents": elf.compacted([*elf.notes_in_loads(), *([dynamic] if dynamic else []), *relro]),
    }


def _check_file(elf: ElfFile) -> None:
    """Whether it is a kernel of the protocol at all: 64-bit, without an interpreter, of our version."""
    if elf.layout.bits != 64:
        raise elf.file.fault(
            "it is a 32-bit ELF file, and the hand-off protocol starts 64-bit ones",
            "Link it for x86-64; a 32-bit Linux is started without `--protocol`.",
        )
    if elf.of_type(INTERP):
        raise elf.file.fault(
            "it asks for an interpreter (PT_INTERP), and a kernel is on its own",
            "Link it with `-static` or `-static-pie`; where `ld` is called by itself, with `--no-dynamic-linker`.",
        )
    for note in elf.notes:
        if (note.name, note.kind) != (NOTE_NAME, NOTE_TYPE):
            continue
        if len(note.value) != 4:
            raise elf.file.fault(f"its Bootslang note has {len(note.value)} bytes instead of 4, the protocol's version")
        version = int.from_bytes(note.value, "little")
        if version != VERSION:
            raise elf.file.fault(
                f"it speaks version {version} of the hand-off protocol, and this Bootslang speaks {VERSION}",
                "Build it with the header of this Bootslang (`bootslang header`), or get the Bootslang of its version.",
            )


def _check_place(elf: ElfFile, load: ProgramHeader) -> None:
    """Whether there are such virtual addresses at all, and they can be the kernel's."""
    if load.align > ALIGNMENT_MAX:
        raise elf.file.fault(
            f"{load} wants an alignment of {load.align:#x}, and {ALIGNMENT_MAX:#x} is the most",
            "Link it with `-z max-page-size=0x1000`.",
        )
    if load.end > LAST_PAGE:
        raise elf.file.fault(
            f"{load} reaches to {load.end:#x}, and the last page of addresses stays free", "Link it lower."
        )
    if load.end > LOW_HALF_END and load.virtual < HIGH_HALF:
        raise elf.file.fault(
            f"{load} is linked to {load.virtual:#x} to {load.end:#x}, and x86-64 has no addresses from"
            f" {LOW_HALF_END:#x} to {HIGH_HALF:#x}",
            "Link it to the lower half, or to the higher one: 0xffffffff80000000 is usual.",
        )
    if elf.header.type == EXEC and load.virtual < PAGE_BYTES:
        raise elf.file.fault(
            f"{load} is linked to {load.virtual:#x}, in the first page of addresses, which stays unmapped",
            "Link it higher, or as position-independent (`-static-pie`).",
        )


def _span(elf: ElfFile) -> range:
    """The virtual addresses from the first segment's page to the last one's end."""
    low, high = min(load.virtual for load in elf.loads), max(load.end for load in elf.loads)
    low = low // PAGE_BYTES * PAGE_BYTES
    if high - low > KERNEL_BYTES_MAX:
        raise elf.file.fault(
            f"it takes the addresses from {low:#x} to {high:#x}, and is loaded as one piece of up to"
            f" {KERNEL_BYTES_MAX:#x} bytes",
            "Link all of it to one range of addresses: no start-up code at low ones is needed.",
        )
    return range(low, high)


def _check_entry(elf: ElfFile) -> None:
    entry = elf.header.entry
    for load in elf.loads:
        if load.virtual <= entry < load.file_end:
            if not load.flags & EXECUTE:
                raise elf.file.fault(
                    f"its entry {entry:#x} is in program header {load.number}, which is not executable", NOT_LINKED
                )
            return
    if any(load.physical <= entry < load.physical + load.file_bytes for load in elf.loads):
        raise elf.file.fault(
            f"its entry {entry:#x} is a physical address, and the hand-off protocol enters at a virtual one",
            "In the linker script, `ENTRY(start)` with the symbol itself. A Linux is started by `--protocol linux`.",
        )
    raise elf.file.fault(f"its entry {entry:#x} lies outside of what is loaded from the file", NOT_LINKED)


def _check_pages(elf: ElfFile) -> None:
    """Pages have rights, so no two segments with different ones can share one."""
    for low, high in pairwise(sorted(elf.loads, key=lambda load: load.virtual)):
        page = high.virtual // PAGE_BYTES * PAGE_BYTES
        if low.end > page and low.flags != high.flags:
            rights = f"{low.segment.rights} and {high.segment.rights}"
            raise elf.file.fault(
                f"program headers {low.number} and {high.number} share the page at {page:#x} and have different rights"
                f" ({rights})",
                _ALIGN,
            )


def _writable_code(elf: ElfFile) -> Iterator[str]:
    """What stands against W^X."""
    for load in elf.loads:
        if load.flags & WRITE and load.flags & EXECUTE:
            yield f"{load} is writable and executable ({load.segment.rights})"


def _home(elf: ElfFile, relro: ProgramHeader) -> tuple[ProgramHeader, ProgramHeader]:
    """A PT_GNU_RELRO with the PT_LOAD whose pages hold it.

    Its offset is made to agree with its address. lld up to 17 lets it reach to the end of the segment's last page.
    """
    for load in elf.loads:
        if load.virtual <= relro.virtual < load.end and relro.end <= -(-load.end // PAGE_BYTES) * PAGE_BYTES:
            return relro._replace(offset=load.offset + relro.virtual - load.virtual), load
    raise elf.file.fault(f"{relro} covers {relro.virtual:#x} to {relro.end:#x}, outside of what is loaded", NOT_LINKED)


def _limits(file: FileBytes) -> Limits:
    """Return the format's limits: the protocol itself has none."""
    return Limits(
        name=file.name,
        command_line_bytes=PIECE_BYTES,
        command_line_source="one chunk; the hand-off protocol has no limit",
        initrd_address_max=(1 << ADDRESS_BITS_MAX) - 1,
        initrd_source="the most physical memory that an x86 CPU has",
        initrd_bytes=(1 << ADDRESS_BITS_MAX) - LOW_MEMORY_END,
    )

"""A kernel as the image builder sees it: what it is, what it needs of the machine, and the bytes to store.

The readers in `elf` and `bzimage` make these; nothing here looks into a file's format.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from bootslang.errors import KernelInvalid, UsageError
from bootslang.kernel.file import FileBytes

PIECE_BYTES = 0x10_0000
"""The most that one piece holds: a chunk of the boot partition."""

LINUX_COMMAND_LINE_BYTES = 2047
"""Linux's COMMAND_LINE_SIZE on x86 (arch/x86/include/asm/setup.h) is 2048, with the NUL that ends it."""
LINUX_INITRD_ADDRESS_MAX = 0x7FFF_FFFF
"""What arch/x86/boot/header.S writes into every bzImage since Linux 2.6.25."""
LOW_MEMORY_END = 0x10_0000
"""Firmware and loader are below; a kernel lies above."""
ADDRESS_BITS_MAX = 52
"""No x86 CPU has more physical address bits (Intel SDM volume 3, 4.1.4)."""

_BANNER_BYTES_MAX = 512
_BANNER = re.compile(rb"Linux version (\d[^\0\n]{1,%d})[\0\n]" % _BANNER_BYTES_MAX)
"""The format string `Linux version %s` stands in some kernels too; the banner has a number, and an end."""


class KernelKind(StrEnum):
    """The formats that are booted."""

    ELF64 = "elf64"
    ELF32 = "elf32"
    BZIMAGE = "bzimage"
    HANDOFF = "handoff"
    """A 64-bit ELF kernel of one's own."""


Protocol = Literal["auto", "linux", "handoff"]
"""How a kernel is started: by Linux's boot protocol, by our hand-off protocol, or by what the file is made for."""
PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A PT_LOAD of an ELF kernel. `offset` is the file's; the rest of `memory_bytes` after `file_bytes` is zeros."""

    offset: int
    physical: int
    virtual: int
    file_bytes: int
    memory_bytes: int
    flags: int
    align: int

    @property
    def rights(self) -> str:
        """The rights as `readelf` writes them: some of "RWE"."""
        return "".join(letter for bit, letter in ((4, "R"), (2, "W"), (1, "E")) if self.flags & bit)


@dataclass(frozen=True, kw_only=True)
class SetupHeader:
    """What a bzImage says about itself: the fields of Linux's `setup_header` that a loader acts on.

    Documentation/arch/x86/boot.rst describes them; names and units are those of that page.
    """

    protocol: int
    """0xMMmm: 0x020F is 2.15."""
    setup_bytes: int
    """The real-mode part with the boot sector; the protected-mode part follows it in the file."""
    protected_bytes: int
    """As `syssize` tells it; a signature may follow."""
    header_end: int
    """The file offset up to which the header goes into the zero page."""
    loadflags: int
    xloadflags: int
    code32_start: int
    initrd_addr_max: int
    kernel_alignment: int
    relocatable: bool
    min_alignment: int
    """log2 of the least alignment that is bearable."""
    cmdline_size: int
    payload_offset: int
    """From the start of the protected-mode part."""
    payload_length: int
    pref_address: int
    init_size: int
    version: str
    """`uname -r` and what follows it; empty if the kernel names none."""

    @property
    def entry64(self) -> bool:
        """Whether it can be entered in 64-bit mode (XLF_KERNEL_64)."""
        return bool(self.xloadflags & 1)

    @property
    def above_4g(self) -> bool:
        """Whether kernel, command line and initrd may lie above 4 GiB (XLF_CAN_BE_LOADED_ABOVE_4G)."""
        return bool(self.xloadflags & 2)


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """What only a kernel of the hand-off protocol has."""

    position_independent: bool
    """ELF type DYN."""
    relocations: int
    """How many addresses in it are adjusted when it is moved."""
    risks: tuple[str, ...]
    """What in it stands against W^X, although that was allowed: each the end of a sentence on the kernel."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the kernel takes, and who says so; the checks raise `KernelInvalid` for what cannot work."""

    name: str
    """Of the kernel, for the messages."""
    command_line_bytes: int
    """The longest command line, without the NUL that ends it."""
    command_line_source: str
    initrd_address_max: int
    """Where the last byte of the initrd may lie at most."""
    initrd_source: str
    initrd_bytes: int
    """The largest initrd for which there can be room, on any machine."""

    def check_command_line(self, text: str | bytes) -> bytes:
        """Return the command line as bytes without a NUL, or raise: too long, or with a NUL inside."""
        line = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        if 0 in line:
            raise KernelInvalid(
                f"The command line has a NUL character at byte {line.index(0)}, where the kernel would end it.",
                hint="Take the NUL out.",
            )
        if len(line) > self.command_line_bytes:
            raise KernelInvalid(
                f"The command line has {len(line):,} bytes, but {self.name} takes {self.command_line_bytes:,}"
                f" ({self.command_line_source}).",
                hint=f"Shorten it by {len(line) - self.command_line_bytes:,} bytes.",
            )
        return line

    def check_initrd_size(self, size_bytes: int) -> None:
        """Raise if an initrd (all initrds together) of this size can never be placed, or is empty."""
        if size_bytes == 0:
            raise KernelInvalid("The initrd is empty.", hint="Leave it away, or give one that holds files.")
        if size_bytes > self.initrd_bytes:
            raise KernelInvalid(
                f"The initrd has {size_bytes:,} bytes, but {self.name} leaves room for {self.initrd_bytes:,}: it has to"
                f" lie beside the kernel and end at {self.initrd_address_max:#x} ({self.initrd_source}).",
                hint=f"Make it smaller by {size_bytes - self.initrd_bytes:,} bytes, or use a 64-bit kernel.",
            )


@dataclass(frozen=True)
class Extent:
    """A run of the file's bytes that goes into the blob."""

    offset: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel file that passed every check that can be made without the machine."""

    file: FileBytes
    kind: KernelKind
    bits: int
    """The mode in which it is entered: 64 if it can be, else 32."""
    entry: int
    """ELF: the physical address, of a hand-off kernel the virtual one. bzImage: the physical address of the entry point
    for `bits` if it lies at its preferred address."""
    segments: tuple[Segment, ...]
    """In the order of the file; empty for a bzImage."""
    memory: range
    """The physical memory that it takes where it prefers to be: first address, and the one after the last. Of a
    hand-off kernel, which lies in any memory, the virtual addresses."""
    limits: Limits
    contents: tuple[bytes | Extent, ...]
    """The blob: bytes as they stand, and runs of the file. No piece spans two of these."""
    setup: SetupHeader | None = None
    """The header of a bzImage."""
    handoff: Handoff | None = None
    """Of a hand-off kernel."""

    @classmethod
    def read(
        cls,
        source: str | Path | bytes | bytearray | memoryview,
        *,
        name: str = "the kernel",
        protocol: str = "auto",
        allow_wx: bool = False,
    ) -> Self:
        """Read and check a kernel file: Linux's `bzImage` or `vmlinux`, or a 64-bit ELF kernel of one's own.

        Raises `KernelInvalid` for everything else. Of a file only headers are read here; `pieces` reads the rest.
        `name` is for bytes that are in memory. `protocol` is one of `PROTOCOLS`; `allow_wx` lets a kernel of the
        hand-off protocol have memory that is writable and executable.
        """
        from bootslang.kernel import bzimage, elf, identify

        chosen = _protocol(protocol)
        file = FileBytes.of(source, name=name)
        if elf.recognises(file):
            return cls(**elf.read(file, chosen, allow_wx=allow_wx))
        if bzimage.recognises(file):
            if chosen == "handoff":
                raise file.fault(
                    "it is a bzImage, and the hand-off protocol starts 64-bit ELF files",
                    "Leave the protocol away: Linux is started by its own.",
                )
            return cls(**bzimage.read(file))
        raise identify.not_a_kernel(file)

    @property
    def blob_bytes(self) -> int:
        """How many bytes `pieces` gives in all."""
        return sum(len(part) if isinstance(part, bytes) else part.length for part in self.contents)

    def pieces(self, limit: int = PIECE_BYTES) -> Iterator[bytes]:
        """Give the blob for the boot partition in pieces of at most `limit` bytes.

        ELF: first the ELF header and program headers, rewritten to what is kept; then the contents of each PT_LOAD.
        bzImage: the file, with a boundary between the real-mode and the protected-mode part.
        """
        for part in self.contents:
            if isinstance(part, bytes):
                yield part
                continue
            for start in range(part.offset, part.offset + part.length, limit):
                yield self.file.read(start, min(limit, part.offset + part.length - start))

    @cached_property
    def version(self) -> str:
        """What the kernel calls itself: a bzImage in its header, a vmlinux in its banner; empty if there is nothing."""
        if self.setup is not None:
            return self.setup.version
        before = b""
        for piece in self.pieces():
            text = before + piece
            found = _BANNER.search(text)
            if found:
                return found[1].decode("utf-8", "replace").strip()
            before = text[-_BANNER_BYTES_MAX:]
        return ""

    def describe(self) -> dict[str, Any]:
        """Return all this as plain data, for `bootslang inspect`."""
        description: dict[str, Any] = {
            "file": self.file.name,
            "size": self.file.size,
            "kind": str(self.kind),
            "version": self.version,
            "bits": self.bits,
            "entry": self.entry,
            "memory": {"start": self.memory.start, "end": self.memory.stop},
            "blob_bytes": self.blob_bytes,
            "limits": {
                "command_line_bytes": self.limits.command_line_bytes,
                "command_line_source": self.limits.command_line_source,
                "initrd_address_max": self.limits.initrd_address_max,
                "initrd_source": self.limits.initrd_source,
                "initrd_bytes": self.limits.initrd_bytes,
            },
        }
        if self.handoff is not None:
            description["handoff"] = asdict(self.handoff)
        if self.setup is None:
            description["segments"] = [{**asdict(segment), "rights": segment.rights} for segment in self.segments]
        else:
            major, minor = divmod(self.setup.protocol, 0x100)
            description["setup"] = {**asdict(self.setup), "protocol": f"{major}.{minor:02}"}
        return description


def entry_bits(head: bytes) -> int:
    """In which mode a kernel is entered, 32 or 64, by the first of its `pieces` alone."""
    from bootslang.kernel import bzimage, elf

    file = FileBytes.of(head)
    return elf.bits(file) if elf.recognises(file) else bzimage.bits(file)


def _protocol(name: str) -> Protocol:
    for protocol in PROTOCOLS:
        if name == protocol:
            return protocol
    raise UsageError(f"There is no protocol {name!r}.", hint=f"Choose one of: {', '.join(PROTOCOLS)}.")

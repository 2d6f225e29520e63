"""The machines that slang is compiled for, as LLVM names them. Importing this needs no LLVM.

The front end asks for a target's width; the backend's worker makes LLVM's target machine from the rest. The host is
described by its name alone: what it is, LLVM finds out where it runs.
"""

from dataclasses import dataclass
from typing import Final

ELF32_LAYOUT: Final = "e-m:e-p:32:32-p270:32:32-p271:32:32-p272:64:64-i128:128-f64:32:64-f80:32-n8:16:32-S128"
ELF64_LAYOUT: Final = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
"""What LLVM 22 computes for its two x86 ELF targets; a test compares them with LLVM's own."""


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    """One target: what LLVM needs to know to make code for it.

    Attributes:
        name: What slang calls it.
        bits: The width of an address and of `usize`.
        triple: LLVM's target triple; empty for the host.
        data_layout: LLVM's data layout; empty for the host.
        cpu: The least CPU that has to run the code; empty for the host's own.
        features: LLVM's feature string, on top of the CPU's.
        reloc: `static` or `pic`.

    """

    name: str
    bits: int
    triple: str = ""
    data_layout: str = ""
    cpu: str = ""
    features: str = ""
    reloc: str = "static"


TARGETS: Final = {
    spec.name: spec
    for spec in (
        TargetSpec(
            name="real16",
            bits=32,
            triple="i386-unknown-none-code16",
            data_layout=ELF32_LAYOUT,
            cpu="i386",
            # Without an operating system nobody has switched the floating-point unit on.
            features="+soft-float,-x87",
        ),
        TargetSpec(
            name="protected32",
            bits=32,
            triple="i386-unknown-none-elf",
            data_layout=ELF32_LAYOUT,
            # It has CPUID and CMPXCHG8B, but neither CMOV nor SSE.
            cpu="pentium",
            features="+soft-float,-x87",
        ),
        TargetSpec(
            name="long64",
            bits=64,
            triple="x86_64-unknown-none-elf",
            data_layout=ELF64_LAYOUT,
            cpu="x86-64",
            # SSE is off until the entry code has switched it on.
            features="+soft-float,-x87,-mmx,-sse,-sse2",
            # Every door may put stage 4 elsewhere.
            reloc="pic",
        ),
        TargetSpec(name="host", bits=64, reloc="pic"),
    )
}


def triple(target: str) -> str:
    """The LLVM triple of the target called `target`; empty for the host."""
    return TARGETS[target].triple


def data_layout(target: str) -> str:
    """The LLVM data layout of the target called `target`; empty for the host."""
    return TARGETS[target].data_layout

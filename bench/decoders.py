"""How fast the decoders and XXH64 are, compiled natively, beside the C libraries: `python -m bench decoders`.

Each corpus is cut into chunks as a disk is, each chunk packed alone, as `build` packs it. The best of several runs
counts; the two run in turns, so that a busy machine slows both. Every output is compared with the original.
"""

from __future__ import annotations

import ctypes
import random
import sysconfig
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import xxhash
from rich.console import Console
from rich.table import Table

from bench import c_libraries
from bootslang.boot.codecs import bzip2, lzma, xz
from bootslang.boot.disk import CHUNK_BYTES
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.image.codecs import CODECS
from bootslang.kernel import debian
from bootslang.slang import span, u8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.c_libraries import Unpack

CORPUS_BYTES = 4 << 20
KERNEL_START = 2 << 20
"""Where a kernel's code begins in its file, about: zeros lie before it."""
SUM_BYTES = 64 << 20
RUNS = 9


class Decoder(Protocol):
    """What a codec's file has."""

    @property
    def WORK_BYTES(self) -> int: ...  # noqa: N802 - a constant there

    def decode(self, packed: span[u8], out: span[u8], work: span[u8], /) -> None: ...


DECODERS: Final[dict[str, tuple[Decoder, Callable[[], Unpack | None]]]] = {
    "bzip2": (bzip2, c_libraries.bzip2),
    "xz": (xz, c_libraries.xz),
    "lzma": (lzma, c_libraries.lzma),
}


@dataclass(frozen=True)
class Result:
    """One line of the table; speeds in MB/s of unpacked bytes."""

    name: str
    packed: float | None
    """Packed size by unpacked size."""
    ours: float
    theirs: float


def main() -> list[dict[str, object]]:
    """Measure and print; what was measured, for the file."""
    table = Table(title="Native speed, MB/s (ours is slang, checked; theirs is the C library)")
    for heading in ("what", "packed to", "ours", "theirs", "ours / theirs"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    found = list(results())
    for result in found:
        packed = "" if result.packed is None else f"{result.packed:.0%}"
        ratio = f"{result.ours / result.theirs:.2f}"
        table.add_row(result.name, packed, f"{result.ours:.0f}", f"{result.theirs:.0f}", ratio)
    Console().print(table)
    return [asdict(result) for result in found]


def results() -> Iterable[Result]:
    found = corpora()
    for name in DECODERS:
        for corpus, data in found.items():
            yield measure(name, corpus, data)
    data = random.Random(1).randbytes(1 << 20) * (SUM_BYTES >> 20)  # noqa: S311 - no secret
    lent: span[u8] = span(data)
    ours, theirs = speeds(lambda: xxh64(lent), lambda: xxhash.xxh64_intdigest(data), SUM_BYTES)
    assert xxh64(lent) == xxhash.xxh64_intdigest(data)  # noqa: S101 - a wrong sum has no speed
    yield Result("xxh64", None, ours, theirs)


def corpora() -> dict[str, bytes]:
    """A kernel, text, and noise."""
    kernel = debian.cloud_vmlinux().read_bytes()[KERNEL_START:]
    library = Path(sysconfig.get_path("stdlib"))
    text = b"".join(path.read_bytes() for path in sorted(library.glob("*.py")))
    noise = random.Random(1).randbytes(CORPUS_BYTES)  # noqa: S311 - no secret
    found = {"kernel": kernel, "Python source": text, "noise": noise}
    return {name: data[:CORPUS_BYTES] for name, data in found.items()}


def measure(name: str, corpus: str, data: bytes) -> Result:
    decoder, library = DECODERS[name]
    chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    packed = [CODECS[name].pack(chunk) for chunk in chunks]
    outs = [bytearray(len(chunk)) for chunk in chunks]
    work: span[u8] = span(bytearray(decoder.WORK_BYTES))
    lent: list[tuple[span[u8], span[u8]]] = [
        (span(source), span(out)) for source, out in zip(packed, outs, strict=True)
    ]
    buffers = [ctypes.create_string_buffer(len(chunk)) for chunk in chunks]
    unpack = library()

    def ours() -> None:
        for source, out in lent:
            decoder.decode(source, out, work)

    def theirs() -> None:
        for source, buffer, chunk in zip(packed, buffers, chunks, strict=True):
            if unpack is None:
                CODECS[name].unpack(source, len(chunk))
            else:
                unpack(source, buffer)

    speed, other = speeds(ours, theirs, len(data))
    assert [bytes(out) for out in outs] == chunks  # noqa: S101 - wrong bytes have no speed
    return Result(f"{name}, {corpus}", sum(map(len, packed)) / len(data), speed, other)


def speeds(ours: Callable[[], object], theirs: Callable[[], object], size: int) -> tuple[float, float]:
    """MB/s of both: the best of RUNS, in turns, after a run that does not count."""
    ours()
    theirs()
    times = [(elapsed(ours), elapsed(theirs)) for _ in range(RUNS)]
    return size / min(own for own, _ in times) / 1e6, size / min(other for _, other in times) / 1e6


def elapsed(function: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start

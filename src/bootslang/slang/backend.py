"""From LLVM IR to objects, assembly text or optimised IR: the side of the compiler's own process.

The front end calls it with one module's text. LLVM itself runs in worker processes (`worker.py`), because a wrong
mnemonic in inline assembly ends the process that LLVM is in. A worker is started when it is first needed, serves many
modules, and is replaced when it dies; what it said last becomes a `BackendError`.

To be told *which* assembly LLVM refused, the front end ends every line of it with a comment: ` # ` and a site of its
own choice. LLVM quotes the refused line, comment included, and the error carries the site. A wrong operand has no line;
it is reported with the number in the call's `!srcloc` metadata.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata, util
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from bootslang.slang.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Action: TypeAlias = Literal["object", "assembly", "ir"]
Kind: TypeAlias = Literal["assembly", "operand", "internal", "missing"]

MOST_WORKERS: Final = 2
"""More cost more memory and start-up (70 ms each) than the few units of a boot loader win."""
WORKER: Final = (sys.executable, "-P", "-m", "bootslang.slang.worker")
"""`-P`, because a user's `types.py` in the working directory must not be taken for Python's."""
REVISION: Final = 1
"""Counted up when the same module and target begin to give another object, so that caches forget the old one."""

ASSEMBLY_ERROR: Final = re.compile(r"^error: <inline asm>:\d+:\d+: (?P<message>.*)", re.MULTILINE)
UNPLACED_ERROR: Final = re.compile(r"^error: <unknown>:\d+: (?P<message>.*)", re.MULTILINE)
"""What comes to light when a whole object is put together: a label that is nowhere, a distance of no known kind."""
OPERAND_ERROR: Final = re.compile(r"^error: (?P<message>.*) at line (?P<cookie>\d+)$", re.MULTILINE)
NO_ASSEMBLER: Final = "we don't have an asm parser for this target"
ASSERTION: Final = re.compile(r"Assertion `(?P<message>.*)' failed")


class BackendError(Exception):
    """LLVM could not make code of a module.

    Attributes:
        message: What LLVM said, in one line: "invalid instruction mnemonic 'mvo'".
        kind: `assembly` and `operand` are mistakes in an `asm` of the user's, in its text and in its operands;
            `internal` is a mistake of the compiler's; `missing` means that llvmlite is not installed, or lacks x86.
        text: The refused line of assembly, without its comment; empty where LLVM quotes none: then `probe` finds it.
        column: Where in `text` it is wrong, from 0; None where LLVM does not say.
        site: What stood in the comment at the end of that line; empty without one.
        cookie: The number in the call's `!srcloc`, for `operand`.
        detail: All that LLVM printed.

    """

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        text: str = "",
        column: int | None = None,
        site: str = "",
        cookie: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind: Kind = kind
        self.text = text
        self.column = column
        self.site = site
        self.cookie = cookie
        self.detail = detail


def explain(detail: str) -> BackendError:
    """The error that `detail`, the last words of a worker, tells of."""
    if found := ASSEMBLY_ERROR.search(detail):
        return assembly_error(found, detail)
    if found := UNPLACED_ERROR.search(detail):
        return BackendError(found["message"], kind="assembly", detail=detail)
    if found := OPERAND_ERROR.search(detail):
        return BackendError(found["message"], kind="operand", cookie=int(found["cookie"]), detail=detail)
    if NO_ASSEMBLER in detail:
        return BackendError(
            "this build of llvmlite cannot assemble x86 code; compile on an x86-64 machine",
            kind="missing",
            detail=detail,
        )
    if found := ASSERTION.search(detail):
        return BackendError(f"an assertion of LLVM failed: {found['message']}", kind="internal", detail=detail)
    lines = detail.strip().splitlines() or ["it printed nothing"]
    return BackendError(f"LLVM ended unexpectedly: {lines[-1].strip()}", kind="internal", detail=detail)


def assembly_error(found: re.Match[str], detail: str) -> BackendError:
    """The error of an assembler message: below it LLVM prints the refused line and a caret."""
    line, caret = (*detail[found.end() :].split("\n")[1:3], "", "")[:2]
    code, _, site = line.rpartition("#") if "#" in line else (line, "", "")
    text = code.strip()
    marked = len(caret) - len(caret.lstrip()) - (len(code) - len(code.lstrip()))
    return BackendError(
        found["message"],
        kind="assembly",
        text=text,
        column=marked if caret.strip() and 0 <= marked <= len(text) else None,
        site=site.strip(),
        detail=detail,
    )


class Worker:
    """One process with LLVM in it, and the pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        # A file takes any amount of text without anybody reading along.
        self._said = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        # It finds this package and LLVM where this process found them.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=environment
        )

    def ask(self, request: bytes) -> bytes:
        """The answer to `request`: a letter and its content. Empty when the process has died."""
        to, back = self._process.stdin, self._process.stdout
        assert to is not None  # noqa: S101 - by construction: both are pipes
        assert back is not None  # noqa: S101
        try:
            to.write(len(request).to_bytes(4, "little"))
            to.write(request)
            to.flush()
        except OSError:
            return b""
        length = back.read(4)
        return back.read(int.from_bytes(length, "little")) if len(length) == 4 else b""

    def last_words(self) -> str:
        """All that the process wrote to standard error, once it is dead."""
        self.stop()
        return self._said

    def stop(self) -> None:
        """End the process, if it still runs, and give back its files."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was still to be written has no reader any more
        self._process.wait()
        if not self._errors.closed:
            self._errors.seek(0)
            self._said = self._errors.read().decode(errors="replace")
            self._errors.close()


def stop_all(workers: list[Worker]) -> None:
    """End the workers of a backend that is no longer used."""
    while workers:
        workers.pop().stop()


@dataclass(frozen=True, kw_only=True)
class Job:
    """One module to make an object of."""

    ir: str
    target: str


class Backend:
    """LLVM, at arm's length. Safe to use from several threads.

    Example:
        >>> with Backend() as backend:
        ...     code = backend.compile("define i32 @answer() { ret i32 42 }", target="protected32")

    """

    def __init__(self, *, command: Sequence[str] = WORKER) -> None:
        self._command = tuple(command)
        self._idle: list[Worker] = []
        self._room = threading.Semaphore(min(MOST_WORKERS, os.cpu_count() or 1))
        self._finalizer = weakref.finalize(self, stop_all, self._idle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers. The next call would start new ones."""
        stop_all(self._idle)

    def compile(self, ir: str, *, target: str) -> bytes:
        """The ELF object (on the host: its own kind of object) of the module whose text is `ir`.

        The same text gives the same bytes in every process. Raises `BackendError`.
        """
        return self._run("object", ir, target)

    def compile_all(self, jobs: Iterable[Job]) -> list[bytes]:
        """The objects of several modules, in their order, made side by side. Raises the first job's error.

        While LLVM works on one job, the next is taken from `jobs`: a generator's work is not waited for.
        """
        with ThreadPoolExecutor(max_workers=MOST_WORKERS) as pool:
            return list(pool.map(lambda job: self.compile(job.ir, target=job.target), jobs))

    def assembly(self, ir: str, *, target: str) -> str:
        """The optimised assembly text, in Intel syntax. Inline assembly is copied unread."""
        return self._run("assembly", ir, target).decode()

    def optimise(self, ir: str, *, target: str) -> str:
        """The optimised module's text."""
        return self._run("ir", ir, target).decode()

    def probe(self, ir: str, *, target: str) -> BackendError | None:
        """What is wrong with a module, or None: for finding the one bad `asm` of many when LLVM names no site."""
        try:
            self.compile(ir, target=target)
        except BackendError as error:
            return error
        return None

    def _run(self, action: Action, ir: str, target: str) -> bytes:
        head = json.dumps({"action": action, "target": TARGETS[target].name})
        request = f"{head}\n{ir}".encode()
        with self._room:
            worker = self._idle.pop() if self._idle else self._start()
            try:
                reply = worker.ask(request)
            except BaseException:
                worker.stop()  # it may be in the middle of an answer
                raise
            if not reply:
                raise explain(worker.last_words())
            self._idle.append(worker)
        if reply[:1] == b"E":
            message = reply[1:].decode()
            raise BackendError(f"LLVM refused the module: {message.strip()}", kind="internal", detail=message)
        return reply[1:]

    def _start(self) -> Worker:
        require_llvm()
        return Worker(self._command)


def require_llvm() -> None:
    """Raise the error that says what to install, if LLVM is not there."""
    if util.find_spec("llvmlite") is None:
        message = "compiling slang needs llvmlite; install it with: pip install 'bootslang[compile]'"
        raise BackendError(message, kind="missing")


def fingerprint(target: str) -> str:
    """What, beside a module's text, decides its object's bytes: a part of every cache key. Starts no worker."""
    require_llvm()
    spec = TARGETS[target]
    parts = [f"backend {REVISION}", f"llvmlite {metadata.version('llvmlite')}", repr(spec)]
    if not spec.triple:
        import llvmlite.binding as llvm

        parts += [llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return "\n".join(parts)

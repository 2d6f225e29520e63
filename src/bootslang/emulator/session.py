"""The thread that serves a running QEMU: starts it, reads its console, listens to its monitor, sees it end.

One thread, one event loop, one QEMU. `guest.py` starts it and shows it to the user. Console, debug console and monitor
are socket pairs made before QEMU starts, so there is no port to race for and no file to clean up.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from qemu.qmp import ConnectError, ExecInterruptedError, ExecuteError, QMPClient, StateError

from bootslang.emulator.command import CommandLine
from bootslang.emulator.console import Console
from bootslang.emulator.outcome import Ending
from bootslang.emulator.process import spawn
from bootslang.errors import GuestCrashed, ToolMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUIT_SECONDS: Final = 10.0
"""How long a QEMU may take to write its caches back after `quit`, before it is killed."""
_SHUTDOWN_ENDINGS: Final = {"guest-shutdown": Ending.POWERED_OFF, "guest-reset": Ending.RESET}
_TRIPLE_FAULT: Final = "Triple fault"

logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)
# A guest that ends its machine cuts the monitor's line; qemu.qmp reports that as an error, to stderr.


class Session:
    """A QEMU and the thread that serves it. `ending` is set once it is over."""

    def __init__(self, command: CommandLine, console: Console, debugcon: Console | None, *, paused: bool) -> None:
        self.ending: Ending | None = None
        self.detail = ""
        self.guest_code: int | None = None
        self.ended_at = 0.0
        self.registers = ""
        """The CPU's registers when the guest reset itself or panicked, in the words of QEMU's monitor."""
        self._command = command
        self._console = console
        self._debugcon = debugcon
        self._paused = paused
        self._monitor = QMPClient("bootslang")
        self._ours: list[socket.socket] = []
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._serial: socket.socket | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="bootslang-guest", daemon=True)

    def start(self) -> None:
        """Start QEMU; returns when the CPU runs (or waits for gdb). Raises what kept it from starting."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    @property
    def process_id(self) -> int:
        """QEMU's, on the host; 0 if it never started."""
        return self._process.pid if self._process is not None else 0

    def send(self, data: bytes) -> None:
        """Type on the serial console. Never waits for the guest to take it; nothing happens once it is gone."""
        if self._loop is not None and self._serial is not None and self.ending is None:
            with contextlib.suppress(RuntimeError):  # The loop may have closed just now.
                asyncio.run_coroutine_threadsafe(self._write(self._serial, data), self._loop)

    def execute(self, command: str, arguments: "Mapping[str, object] | None" = None) -> object:
        """Send a command to QEMU's monitor (QMP) and return its answer; GuestCrashed if there is none to be had."""
        if self._loop is None or self.ending is not None:
            raise GuestCrashed(f"the machine has ended, and cannot {command!r}")
        task = asyncio.run_coroutine_threadsafe(self._monitor.execute(command, dict(arguments or {})), self._loop)
        try:
            return task.result()
        except ExecuteError as error:
            raise UsageError(f"QEMU refused {command!r}: {error}") from error
        except (StateError, ExecInterruptedError, OSError, EOFError, concurrent.futures.CancelledError) as error:
            raise GuestCrashed(f"the machine ended while {command!r} was under way") from error

    def stop(self, *, kill: bool = False) -> None:
        """End QEMU, by `quit` (its caches are written back) or at once, and wait for it."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            if not kill and self._loop is not None:
                with contextlib.suppress(RuntimeError):
                    asyncio.run_coroutine_threadsafe(self._quit(), self._loop)
                self._thread.join(_QUIT_SECONDS)
            if self._thread.is_alive():
                self._process.kill()
        self._thread.join()

    # All below runs in the session's own thread.

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  It is raised again in the thread that called start().
            self._failure = error
        finally:
            if self.ending is None:
                self.ending, self.ended_at = Ending.DIED, time.monotonic()
            for console in (self._console, self._debugcon):
                if console is not None:
                    console.close()
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bootslang-")))
            said = stack.enter_context(tempfile.TemporaryFile())
            readers = self._launch(folder, said)
            stack.callback(self._reap)
            try:
                await self._monitor.connect(self._ours[0])
            except (ConnectError, EOFError, OSError) as error:
                raise self._refusal(said) from error
            watcher = asyncio.create_task(self._watch(folder / "qemu.log"))
            if not self._paused:
                # A guest of some instructions may have ended before QEMU has answered.
                with contextlib.suppress(ExecInterruptedError, StateError, EOFError):
                    await self._monitor.execute("cont")
            self._started.set()
            assert self._process is not None  # noqa: S101
            status = await asyncio.to_thread(self._process.wait)
            await asyncio.gather(*readers)
            watcher.cancel()
            self._conclude(status, said)
            with contextlib.suppress(Exception):
                # The line is cut already: qemu.qmp tells by an exception, EOFError for one.
                await self._monitor.disconnect()

    def _launch(self, folder: Path, said: IO[bytes]) -> list[asyncio.Task[None]]:
        """Make the sockets, start QEMU on their far ends, begin to read."""
        names = ["monitor", "serial"] + (["debugcon"] if self._debugcon is not None else [])
        theirs = []
        for _ in names:
            near, far = socket.socketpair()
            near.setblocking(False)  # noqa: FBT003
            self._ours.append(near)
            theirs.append(far)
        numbers = [far.fileno() for far in theirs]
        command = self._command.for_session(
            monitor=numbers[0],
            serial=numbers[1],
            debugcon=numbers[2] if self._debugcon is not None else None,
            log=str(folder / "qemu.log"),
        )
        try:
            self._process = spawn(command, pass_fds=numbers, stderr=said)
        except OSError as error:
            raise ToolMissing(f"{command[0]} cannot be started: {error.strerror}") from error
        finally:
            for far in theirs:
                far.close()
        self._serial = self._ours[1]
        consoles = [console for console in (self._console, self._debugcon) if console is not None]
        return [
            asyncio.create_task(self._read(near, console))
            for near, console in zip(self._ours[1:], consoles, strict=True)
        ]

    def _reap(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        for near in self._ours:
            near.close()

    async def _read(self, near: socket.socket, console: Console) -> None:
        assert self._loop is not None  # noqa: S101
        with contextlib.suppress(ConnectionError):
            while data := await self._loop.sock_recv(near, 1 << 16):
                console.feed(data)

    async def _write(self, near: socket.socket, data: bytes) -> None:
        assert self._loop is not None  # noqa: S101
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(near, data)

    async def _quit(self) -> None:
        with contextlib.suppress(Exception):  # The answer may be lost with the line.
            await self._monitor.execute("quit")

    async def _watch(self, log: Path) -> None:
        """Note the first event that tells of an end; QEMU stays, stopped, until it is told to quit."""
        async for event in self._monitor.events:
            data = event.get("data", {})
            reason = str(data.get("reason", "")) if isinstance(data, dict) else ""
            if event["event"] == "GUEST_PANICKED":
                self._note(Ending.PANICKED, "")
            elif event["event"] == "SHUTDOWN" and reason in _SHUTDOWN_ENDINGS:
                ending = _SHUTDOWN_ENDINGS[reason]
                if ending is Ending.RESET and _TRIPLE_FAULT in _read_log(log):
                    ending = Ending.TRIPLE_FAULT
                if ending is not Ending.POWERED_OFF:
                    await self._save_registers()
                self._note(ending, _place(self.registers))
                await self._quit()

    async def _save_registers(self) -> None:
        with contextlib.suppress(Exception):
            answer = await self._monitor.execute("human-monitor-command", {"command-line": "info registers"})
            self.registers = str(answer)

    def _note(self, ending: Ending, detail: str) -> None:
        if self.ending is None:
            self.detail, self.ended_at, self.ending = detail, time.monotonic(), ending
            with self._console.changed:
                self._console.changed.notify_all()

    def _conclude(self, status: int, said: IO[bytes]) -> None:
        """QEMU is gone. If no event told why, its exit status does."""
        if status > 0 and status & 1 and self.ending in {None, Ending.POWERED_OFF}:
            # Newer QEMUs report a write to port 0xF4 as a power-off first.
            self.guest_code = status >> 1
            self.ending = None
            self._note(Ending.EXITED, f"with {self.guest_code:#x}")
        elif self._stopping or status == 0:
            self._note(Ending.STOPPED, "")
        else:
            self._note(Ending.DIED, _last_words(said) or f"exit status {status}")

    def _refusal(self, said: IO[bytes]) -> Exception:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_QUIT_SECONDS)
        return UsageError(
            f"QEMU refused to start: {_last_words(said) or 'it did not say why'}",
            hint="`bootslang run --print-command` shows its command line.",
        )


def _read_log(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""


def _last_words(said: IO[bytes]) -> str:
    """What QEMU wrote to its stderr, without its name before each line."""
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return "; ".join(re.sub(r"^\S*qemu-system-\S+: ", "", line) for line in lines[-3:])


def _place(registers: str) -> str:
    """Where the CPU was: `EIP=00007c05 CS=0000`."""
    found = re.search(r"\b([ER]IP=[0-9a-f]+)", registers)
    segment = re.search(r"\bCS =([0-9a-f]{4})", registers)
    return " ".join([found[1], *([f"CS={segment[1]}"] if segment else [])]) if found else ""

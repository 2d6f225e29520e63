"""QEMU's process: it never outlives ours.

On Linux the kernel itself kills it when the thread that started it is gone, however that came about. Elsewhere, and for
tidiness, `atexit` does.
"""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
"""Looked up before any fork: a child of a threaded process may do next to nothing."""
_LIVE: Final[weakref.WeakSet[subprocess.Popen[bytes]]] = weakref.WeakSet()


def die_with_parent() -> None:
    """In a child, before exec: SIGKILL when the thread that forked it ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(command: Sequence[str], *, pass_fds: Sequence[int], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start QEMU in a session of its own, so that a Ctrl-C on the terminal reaches us and not it.

    Call it from a thread that lives as long as the process is to.
    """
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=stderr,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
        env={**os.environ, "LC_ALL": "C"},
    )
    _LIVE.add(process)
    return process


@atexit.register
def _kill_what_lives() -> None:
    for process in list(_LIVE):
        if process.poll() is None:
            process.kill()
            process.wait()

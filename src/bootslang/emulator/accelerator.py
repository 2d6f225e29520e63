"""Whether KVM can be used: found out by running real-mode code under it, once per boot of the host.

A `/dev/kvm` may be there and be useless: not ours to open, or provided by a host that runs no real-mode code, where a
boot sector spins for ever. So a boot sector of our own is started under KVM with a short time limit; the answer is kept
in the user's cache directory until the host boots again or QEMU changes.
"""

import json
import os
import platform
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from bootslang.emulator.process import die_with_parent
from bootslang.emulator.qemu import find_qemu

Accelerator = Literal["auto", "kvm", "tcg"]
ACCELERATOR_VARIABLE: Final = "BOOTSLANG_ACCEL"
"""Where `auto` was asked for, this environment variable decides if it says `kvm` or `tcg`."""

_PROBE_SECONDS: Final = 2.0
"""A KVM worth having boots a sector in a fifth of this; TCG does it in a tenth of a second. Where the host is a guest
whose hypervisor steps through real mode, 4 seconds were seen."""
_PROBE_CODE: Final = bytes.fromhex(
    "66b980969800"  # mov ecx, 10000000
    "67e2fd"  # loop $          KVM proper takes hundredths of a second; where each instruction is emulated, minutes
    "b034"  # mov al, 0x34
    "e6f4"  # out 0xf4, al      isa-debug-exit: QEMU ends with (0x34 << 1) | 1
    "ebfe"  # jmp $
)
_PROBE_STATUS: Final = (0x34 << 1) | 1
_KVM_DEVICE: Final = Path("/dev/kvm")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class KvmVerdict:
    """Whether KVM runs a boot sector here, and if not, why."""

    usable: bool
    reason: str


def choose_accelerator(wanted: Accelerator) -> Literal["kvm", "tcg"]:
    """The accelerator to use: the wanted one, or for `auto` KVM where it works, else TCG."""
    if wanted == "auto":
        told = os.environ.get(ACCELERATOR_VARIABLE, "")
        if told == "kvm" or (told != "tcg" and kvm_verdict().usable):
            return "kvm"
        return "tcg"
    return wanted


def kvm_verdict(*, fresh: bool = False) -> KvmVerdict:
    """Whether KVM runs real-mode code here; `fresh` asks KVM again instead of the cache."""
    if platform.system() != "Linux":
        return KvmVerdict(usable=False, reason="KVM is Linux'")
    if platform.machine() != "x86_64":
        return KvmVerdict(usable=False, reason=f"the host's CPU is {platform.machine()}, not x86-64")
    if not _KVM_DEVICE.exists():
        return KvmVerdict(usable=False, reason=f"there is no {_KVM_DEVICE}")
    if not os.access(_KVM_DEVICE, os.R_OK | os.W_OK):
        return KvmVerdict(usable=False, reason=f"{_KVM_DEVICE} is not yours to open (is your user in the group kvm?)")
    program = find_qemu()
    key = _cache_key(program)
    cached = None if fresh else _read_cache(key)
    if cached is None:
        cached = _probe(program)
        _write_cache(key, cached)
    return cached


def _probe(program: str) -> KvmVerdict:
    """Boot a sector of ours under KVM."""
    sector = _PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa"
    with tempfile.TemporaryDirectory(prefix="bootslang-") as folder:
        disk = Path(folder) / "probe.img"
        disk.write_bytes(sector)
        command = [program, "-accel", "kvm", "-nodefaults", "-display", "none", "-no-reboot", "-m", "16"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive", f"format=raw,file={disk}"]
        try:
            ended = subprocess.run(  # noqa: S603
                command,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=_PROBE_SECONDS,
                preexec_fn=die_with_parent,
            )
        except subprocess.TimeoutExpired:
            return KvmVerdict(usable=False, reason=f"a boot sector takes it over {_PROBE_SECONDS:.0f} seconds")
    if ended.returncode == _PROBE_STATUS:
        return KvmVerdict(usable=True, reason="a boot sector ran under it")
    said = ended.stderr.strip().splitlines()
    return KvmVerdict(usable=False, reason=said[0] if said else "a boot sector died under it")


def _cache_key(program: str) -> str:
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        boot = ""
    return f"{boot} {program} {Path(program).stat().st_mtime_ns} {_PROBE_CODE.hex()}"


def _cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "bootslang" / "kvm.json"


def _read_cache(key: str) -> KvmVerdict | None:
    """The answer kept under this key; a cache that cannot be read or understood is no cache."""
    try:
        kept = json.loads(_cache_file().read_text())
        if kept["key"] != key:
            return None
        return KvmVerdict(usable=bool(kept["usable"]), reason=str(kept["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(key: str, verdict: KvmVerdict) -> None:
    """Keep the answer; a home that cannot be written to costs the next run a probe."""
    file = _cache_file()
    beside = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({"key": key, **asdict(verdict)}))
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)

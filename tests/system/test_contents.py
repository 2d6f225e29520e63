"""Does Linux find all that it was given: the command line to the letter, large files, every initrd, all the memory?"""

import hashlib
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from bootslang import Machine
from bootslang.kernel import debian
from support.linux import Guests, archive, initramfs, run

pytestmark = pytest.mark.machine

MIB = 1 << 20
COMMAND_LINE = "clocksource=tsc console=ttyS0"
NOISE_BYTES = 48 * MIB
SECOND = b"the second initrd"
THIRD = b"the third initrd, of an odd length"
BOOT_SECONDS = 480
"""Summing 48 MiB takes busybox half a minute on a host that translates each instruction and has other work."""


@cache
def noise() -> bytes:
    """What no codec makes smaller, with a length that is no multiple of anything."""
    return random.Random(48).randbytes(NOISE_BYTES + 1)


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "codec"),
    [
        (debian.cloud_vmlinux, "bzip2"),
        (debian.cloud_kernel, "none"),
        (debian.cloud_kernel, "bzip2"),
        (debian.cloud_vmlinux, "none"),
    ],
    ids=["ELF bzip2", "bzImage none", "bzImage bzip2", "ELF none"],
)
def test_everything_arrives_as_it_was(tmp_path: Path, kernel: Callable[[], Path], codec: str) -> None:
    system = initramfs(debian.amd64_busybox(), noise=noise())
    initrds = (system, archive({"told/second": SECOND}), archive({"told/third": THIRD}))
    disk = Guests(tmp_path).disk(kernel(), *initrds, codec=codec, command_line=COMMAND_LINE)
    report = run(Machine(disk, accel="tcg", memory=512), timeout=BOOT_SECONDS)
    assert report.value("command line") == f"[{COMMAND_LINE}]"
    assert report.sum_of("noise") == sum_of(noise())
    assert report.sum_of("second") == sum_of(SECOND)
    assert report.sum_of("third") == sum_of(THIRD)


def test_a_later_initrd_replaces_what_an_earlier_one_holds(tmp_path: Path) -> None:
    system = initramfs(debian.amd64_busybox(), file=b"from the first")
    later = archive({"told/file": b"from the second"})
    disk = Guests(tmp_path).disk(debian.cloud_kernel(), system, later, command_line=COMMAND_LINE)
    assert run(Machine(disk, accel="tcg", memory=256)).sum_of("file") == sum_of(b"from the second")


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_six_gib_of_memory_are_all_seen(tmp_path: Path, machine: str) -> None:
    disk = Guests(tmp_path).disk(debian.cloud_kernel(), initramfs(debian.amd64_busybox()), codec="bzip2")
    report = run(Machine(disk, accel="tcg", memory="6G", machine=machine, kind="ahci"))
    kib = int(report.value("memory").split()[1])
    assert 5.7 * MIB < kib < 6 * MIB, "what the kernel itself takes is missing, and no more"

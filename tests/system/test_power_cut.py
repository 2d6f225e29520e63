"""Is there something to boot after any end of an update: does a disk whose `build` was killed at random still boot?

The builder is a process of its own; it is killed without warning once it has begun to write. What the disk would then
start is read by following a machine's way, each time, and some of these disks are booted.
"""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootslang import Image, Machine, verify
from bootslang.image import format as disk_format
from bootslang.image.disks import open_disk
from bootslang.image.generation import read_chunks
from bootslang.image.verify import what_boots
from bootslang.kernel import debian

pytestmark = pytest.mark.machine

CONSOLE = "console=ttyS0"
"""Not `earlyprintk`: its driver drops characters when the emulator is held up."""
NOISE_BYTES = 24 << 20
"""An initrd so large that writing takes a while, most of it in data, some of it in the loader and the manifest."""
BUILDER = """
import sys
from bootslang import Image

disk, kernel, initrd, command_line, verbose = sys.argv[1:]
told = False


def progress(what, done, total):
    global told
    if what == "pack" and done == total and not told:
        told = True
        print("packed", flush=True)


image = Image(kernel=kernel, initrds=[initrd], command_line=command_line, verbose=verbose == "verbose")
image.build(disk, progress)
"""


@dataclass
class Updates:
    """A disk that is updated again and again. Each generation's command line has its number."""

    disk: Path
    initrd: Path
    number: int = 1

    @property
    def command_line(self) -> str:
        return f"{CONSOLE} update={self.number}"

    def first(self) -> None:
        Image(kernel=debian.cloud_kernel(), initrds=[self.initrd], command_line=self.command_line).build(self.disk)

    def begin(self) -> subprocess.Popen[bytes]:
        """Start the next update; it is about to write when this returns.

        The loader's bytes change with each update, so that its slots are written too.
        """
        self.number += 1
        verbose = "verbose" if self.number % 2 else "quiet"
        arguments = [self.disk, debian.cloud_kernel(), self.initrd, self.command_line, verbose]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        builder = subprocess.Popen(
            [sys.executable, "-c", BUILDER, *map(str, arguments)], stdout=subprocess.PIPE, env=environment
        )
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"packed\n"
        builder.stdout.close()
        return builder

    def starts(self) -> str:
        """The command line that a machine would boot with; an error where it would stop."""
        with open_disk(self.disk, None) as opened:
            _, boot = opened.boot_partition()
            generation = what_boots(boot).generation
            index = [blob.kind for blob in generation.manifest.blobs].index(disk_format.COMMAND_LINE)
            return b"".join(read_chunks(boot, generation.tables[index])).decode()


@pytest.fixture
def updates(tmp_path: Path) -> Updates:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(random.Random(10).randbytes(NOISE_BYTES))
    made = Updates(tmp_path / "disk.img", initrd)
    made.first()
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "boots"), [(5, 2), (50, 10)])
def test_a_killed_update_leaves_the_old_or_the_new_generation(updates: Updates, kills: int, boots: int) -> None:
    chance = random.Random(kills)
    seconds = duration(updates)
    interrupted = 0
    for kill in range(kills):
        before = updates.starts()
        builder = updates.begin()
        time.sleep(chance.uniform(0, seconds))
        builder.kill()
        interrupted += builder.wait() != 0
        after = updates.starts()
        assert after in {before, updates.command_line}
        if kill % (kills // boots) == 0:
            boots_with(updates.disk, after)
    assert interrupted >= kills // 2, "most updates were killed before they were done"
    updates.begin().wait()
    assert updates.starts() == updates.command_line, "what was left is made good by the next update"
    assert verify(updates.disk) == []


def duration(updates: Updates) -> float:
    """How many seconds an update writes on this host."""
    builder = updates.begin()
    start = time.monotonic()
    assert builder.wait() == 0
    return time.monotonic() - start


def boots_with(disk: Path, command_line: str) -> None:
    machine = Machine(disk, kind="nvme", memory=512, accel="tcg", snapshot=True)
    machine.run(expect=f"Command line: {command_line}", timeout=120).check()

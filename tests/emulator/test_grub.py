"""Does a real GRUB, from BIOS and from UEFI, start small kernels? What fails with the loader then is the loader's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang.emulator import PASS, Machine
from support.grub import grub_image
from support.small_kernels import exit_with, multiboot1_kernel, multiboot2_kernel, say

pytestmark = pytest.mark.machine


@pytest.mark.parametrize(
    ("command", "kernel", "firmware"),
    [
        ("multiboot", multiboot1_kernel, "bios"),
        ("multiboot2", multiboot2_kernel, "bios"),
        ("multiboot2", multiboot2_kernel, "ovmf"),
    ],
)
def test_grub_starts_a_kernel(tmp_path: Path, command: str, kernel: Callable[[bytes], bytes], firmware: str) -> None:
    image = grub_image(tmp_path, f"{command} /kernel", files={"kernel": kernel(say("started") + exit_with(PASS))})
    outcome = Machine(image, firmware=firmware, machine="q35", memory=128, accel="tcg").run(timeout=60)
    assert outcome.guest_code == PASS
    assert outcome.console.endswith("started")

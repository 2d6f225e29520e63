"""Does the demonstration build a disk, boot it to a shell, and get the right answers?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.machine
def test_the_demo_boots_a_disk_to_a_shell_and_checks_its_answers(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "examples/demo.py", tmp_path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "BOOTSLANG_ACCEL": "tcg"},
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("All answers were right.\n")
    assert (tmp_path / "disk.img").exists()

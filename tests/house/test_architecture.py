"""Does the page on the architecture still tell the truth where a machine can check it?"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()


def test_the_memory_map_is_the_layout_modules() -> None:
    ran = subprocess.run([sys.executable, ROOT / "tools/memory-map"], capture_output=True, text=True, check=True)
    assert f"```text\n{ran.stdout}```" in PAGE, "run tools/memory-map --update"


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:[a-z0-9_]+/)+[a-z0-9_]*(?:\.py)?)`", PAGE))
    places = [ROOT, ROOT / "src/bootslang", ROOT / "src/bootslang/boot", ROOT / "src/bootslang/slang"]
    assert named
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []

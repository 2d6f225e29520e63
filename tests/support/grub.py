"""Images that a real GRUB boots, from BIOS and from UEFI, as a disk as well as as a CD: made by grub-mkrescue."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

CONFIGURATION = """\
serial --unit=0 --speed=115200
terminal_output serial
insmod all_video
set timeout=0
menuentry "the test" {{
    {commands}
}}
"""
"""Its messages go to the serial line, where the tests look; with the video drivers it can give a framebuffer."""


def grub_image(folder: Path, *commands: str, files: Mapping[str, bytes | Path]) -> Path:
    """Write an image with these files, by their names in GRUB's root, whose GRUB gives these commands and boots."""
    tree = folder / "grub"
    (tree / "boot/grub").mkdir(parents=True, exist_ok=True)
    (tree / "boot/grub/grub.cfg").write_text(CONFIGURATION.format(commands="\n    ".join(commands)))
    for name, content in files.items():
        (tree / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    image = folder / "grub.iso"
    made = subprocess.run(["grub-mkrescue", "-o", image, tree], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return image

"""Compile the boot code when a wheel is built, and ship the objects in it: users need no compiler."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BootCode(BuildHookInterface[Any]):
    """Hatchling's hook."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put one object for each unit into the wheel, below bootslang/objects."""
        if version == "editable":
            return  # a checkout compiles what it needs, through the cache
        sys.path.insert(0, str(Path(self.root) / "src"))
        from bootslang.rocket import SHIPPED, compile_units

        folder = Path(tempfile.mkdtemp(prefix="bootslang-"))
        for name, data in compile_units().items():
            (folder / f"{name}.o").write_bytes(data)
            build_data["force_include"][str(folder / f"{name}.o")] = f"bootslang/{SHIPPED}/{name}.o"

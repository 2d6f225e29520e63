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

        self._folder = tempfile.TemporaryDirectory(prefix="bootslang-")  # Gone when the wheel is built.
        for name, data in compile_units().items():
            file = Path(self._folder.name) / f"{name}.o"
            file.write_bytes(data)
            build_data["force_include"][str(file)] = f"bootslang/{SHIPPED}/{name}.o"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """Delete the files that went into the wheel."""
        if version != "editable":
            self._folder.cleanup()

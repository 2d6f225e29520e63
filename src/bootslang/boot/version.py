"""Bootslang's version, as the loader tells it to kernels; a test holds it against the package's."""

from typing import Final

VERSION: Final = "0.1.0"

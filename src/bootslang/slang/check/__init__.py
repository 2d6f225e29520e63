"""The checker: Python's syntax tree becomes the typed tree, or diagnostics.

`scope` knows names and conversions, `expressions` values, `calls` calls and intrinsics, `assembly` inline assembly,
`statements` statements and whole functions. `check_function` is the way in.
"""

from bootslang.slang.check.scope import Surroundings
from bootslang.slang.check.statements import check_function

__all__ = ["Surroundings", "check_function"]

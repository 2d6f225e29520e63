"""The checker: Python's syntax tree becomes the typed tree, or diagnostics.

Each file is a layer, and knows those before it: `scope` names and conversions; `operators` and `expressions` values;
`assembly` inline assembly; `vocabulary` words with a meaning of their own; `calls` calls; `messages` texts with values
in them; `assignments` and `statements` statements; `functions` whole functions. `check_function` is the way in.
"""

from bootslang.slang.check.functions import check_function
from bootslang.slang.check.scope import Surroundings

__all__ = ["Surroundings", "check_function"]

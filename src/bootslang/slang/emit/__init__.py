"""The emitter: typed trees become the text of one LLVM module.

`lower` knows how types look in LLVM, `data` writes constants, `values` expressions, `assembly` inline assembly,
`statements` statements and functions, `debug` debug information, `unit` the module as a whole.
"""

from bootslang.slang.emit.unit import RunTime, emit_unit

__all__ = ["RunTime", "emit_unit"]

"""Debug information: which source line every instruction comes from, and where variables are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootslang.slang import tree, types

if TYPE_CHECKING:
    from bootslang.slang.diagnostics import Location

DWARF_BOOLEAN, DWARF_SIGNED, DWARF_UNSIGNED, DWARF_ADDRESS = 2, 5, 7, 1


class DebugInfo:
    """Numbers metadata nodes and keeps their text."""

    def __init__(self, name: str) -> None:
        self.nodes: list[str] = []
        self.known: dict[str, int] = {}
        self.files: dict[str, int] = {}
        self.unit = self.add(
            f'distinct !DICompileUnit(language: DW_LANG_C99, file: !{self.file(name)}, producer: "bootslang", '
            "isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug)"
        )
        self.signature = self.add("!DISubroutineType(types: !{null})")

    def add(self, text: str) -> int:
        known = self.known.get(text)
        if known is None or text.startswith("distinct"):
            self.nodes.append(text)
            known = self.known[text] = len(self.nodes) - 1
        return known

    def file(self, path: str) -> int:
        if path not in self.files:
            full = Path(path)
            name, directory = full.name.replace('"', ""), str(full.parent).replace('"', "")
            self.files[path] = self.add(f'!DIFile(filename: "{name}", directory: "{directory}")')
        return self.files[path]

    def function(self, name: str, symbol: str, path: str, line: int) -> int:
        file = self.file(path)
        return self.add(
            f'distinct !DISubprogram(name: "{name}", linkageName: "{symbol}", scope: !{file}, file: !{file}, '
            f"line: {line}, type: !{self.signature}, scopeLine: {line}, flags: DIFlagPrototyped, "
            f"spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !{self.unit})"
        )

    def location(self, scope: int, location: Location) -> int:
        return self.add(f"!DILocation(line: {location.line}, column: {location.column + 1}, scope: !{scope})")

    def cookie(self) -> int:
        """A node with a number of its own, for `!srcloc`."""
        return self.add(f"!{{i64 {len(self.nodes) + 1}}}")

    def type(self, kind: types.Type, pointer_bits: int) -> int:
        match kind:
            case types.IntType():
                encoding = DWARF_SIGNED if kind.signed else DWARF_UNSIGNED
                return self.basic(kind.name, kind.bits, encoding)
            case types.BoolType():
                return self.basic("bool", 8, DWARF_BOOLEAN)
            case _:
                byte = self.basic("u8", 8, DWARF_UNSIGNED)
                return self.add(
                    f'!DIDerivedType(tag: DW_TAG_pointer_type, name: "{kind}", baseType: !{byte}, size: {pointer_bits})'
                )

    def basic(self, name: str, bits: int, encoding: int) -> int:
        return self.add(f'!DIBasicType(name: "{name}", size: {bits}, encoding: {encoding})')

    def variable(self, local: tree.Local, scope: int, path: str, pointer_bits: int) -> int:
        kind = self.type(local.type, pointer_bits)
        argument = "" if local.parameter is None else f"arg: {local.parameter + 1}, "
        return self.add(
            f'!DILocalVariable(name: "{local.name}", {argument}scope: !{scope}, file: !{self.file(path)}, '
            f"line: {local.location.line}, type: !{kind})"
        )

    def text(self) -> str:
        lines = [f"!{number} = {node}" for number, node in enumerate(self.nodes)]
        return "\n".join(lines)

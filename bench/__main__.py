"""All measurements, one after the other: `python -m bench`; some of them: `python -m bench stages boots`.

They are printed as tables, and written to build/bench.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from bench import boots, decoders, doors, stages

PARTS: Final = {"stages": stages.main, "boots": boots.main, "doors": doors.main, "decoders": decoders.main}
OUTPUT: Final = Path("build/bench.json")


def main() -> int:
    """Run them."""
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        print(f"bench: there is no {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    found = {name: PARTS[name]() for name in chosen}
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")
    print(f"All of it is in {OUTPUT}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

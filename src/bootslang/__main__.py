"""`python -m bootslang`: the command, where its script is not on the PATH."""

import sys

from bootslang.cli import main

sys.exit(main())

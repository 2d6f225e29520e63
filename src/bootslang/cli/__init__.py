"""The command `bootslang`: a thin coat over the API, one file for each of its commands.

Reading order: `app` (the list of commands, and what becomes of errors), `command` (help with examples), then any
command; `progress`, `tree` and `manual` serve them. Nothing heavy is imported before it is needed: the help has to be
there at once.
"""

from bootslang.cli.app import main

__all__ = ["main"]

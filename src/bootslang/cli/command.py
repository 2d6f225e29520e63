"""A command with examples: they stand at the end of its help and in the manual, and the tests run them."""

from typing import Any, Final, NamedTuple

import click

PROGRAM: Final = "bootslang"


class Example(NamedTuple):
    """A command line to copy, and what it is for."""

    purpose: str
    line: str


class Command(click.Command):
    """One of the program's commands. `after_dashes` keeps what stands behind `--` for another program."""

    def __init__(self, *args: Any, examples: tuple[Example, ...] = (), after_dashes: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.after_dashes = after_dashes
        """What these words are called in the usage line; empty where there is no such thing."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what follows `--` out, for the command to find in `ctx.meta`."""
        if self.after_dashes and "--" in args:
            dashes = args.index("--")
            ctx.meta[self.after_dashes] = tuple(args[dashes + 1 :])
            args = args[:dashes]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line's words."""
        pieces = super().collect_usage_pieces(ctx)
        return [*pieces, f"[-- {self.after_dashes}...]"] if self.after_dashes else pieces

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        super().format_epilog(ctx, formatter)
        if not self.examples:
            return
        with formatter.section("Examples"):
            for number, example in enumerate(self.examples):
                if number:
                    formatter.write_paragraph()
                formatter.write_text(example.purpose)
                # A line to be copied is never broken.
                formatter.write(f"{'':>{formatter.current_indent + 2}}{example.line}\n")

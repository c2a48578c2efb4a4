"""`meltemi store …`: the commands of the chunk store."""

import importlib
from difflib import get_close_matches
from typing import Final

import click

_COMMANDS: Final = {
    "init": ("init", "Make a store."),
    "put": ("put", "Store an image's data under a name."),
    "get": ("get", "Give an image's data."),
    "range": ("range", "Give a part of an image's data."),
    "list": ("list", "List the images of a store."),
    "delete": ("delete", "Take images away; `gc` frees their space."),
    "check": ("check", "See that everything that an image needs is there."),
    "scrub": ("scrub", "Read every byte and hold it against its hash."),
    "reindex": ("reindex", "Rebuild the index from what is stored."),
    "gc": ("collect", "Delete what no image needs."),
    "stats": ("stats", "Sum what a store holds."),
}
"""Each with its module and its line in the help."""


class _Commands(click.Group):
    """Commands imported only when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of the help."""
        return list(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"meltemi.cli.store.{_COMMANDS[cmd_name][0]}")
        found = module.command
        assert isinstance(found, click.Command)  # noqa: S101 - told to the type checker
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; of one there is not, name the nearest."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, _COMMANDS, n=1)
            ctx.fail(f"no command {name!r}" + (f" (did you mean {near[0]}?)" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.command(
    "store",
    cls=_Commands,
    epilog="Exit codes: 0 done, 2 usage, 3 an image failed or another collector is at work, "
    "5 authentication, 9 the store is damaged or cannot be used.",
)
def command() -> None:
    """Keep the data of images, every distinct piece once.

    STORE is a folder, or a bucket: s3://bucket/prefix, which needs an --index.
    """

"""A group of commands that are imported only when they run, so that the rest starts at once."""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches

import click


class LazyGroup(click.Group):
    """Commands by name: the modules that hold them (each as `command`), and their lines of help."""

    def __init__(self, *, lines: Mapping[str, tuple[str, str]], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # what click.command passes on
        self._lines = lines

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of the help."""
        return list(self._lines)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self._lines:
            return None
        command = importlib.import_module(self._lines[cmd_name][0]).command
        assert isinstance(command, click.Command)  # noqa: S101 - told to the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; of one there is not, name the nearest."""
        name = args[0]
        if name not in self._lines and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self._lines, n=1)
            ctx.fail(f"no command {name!r}" + (f" (did you mean {near[0]}?)" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lines.items()])

"""`meltemi credential …`: what owners leave the daemon for libraries that it has no account on."""

from typing import Final

import click

from meltemi.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "set": "Leave an application credential, or another one.",
    "unset": "Take it away again.",
    "list": "Show for which libraries there is one.",
}


@click.command(
    "credential",
    cls=LazyGroup,
    lines={name: (f"meltemi.cli.credential.{name}", line) for name, line in _COMMANDS.items()},
    epilog="Exit codes: 0 done, 2 usage, 3 there is none, or it is not yours, 5 authentication, "
    "6 unreachable.",
)
def command() -> None:
    """Let the daemon use your project's application credential in a region.

    It is kept encrypted and never shown.
    """

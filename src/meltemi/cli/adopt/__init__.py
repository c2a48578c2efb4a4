"""`meltemi adopt …`: how a region takes over from a Glance."""

from typing import Final

import click

from meltemi.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "start": "Learn what the Glance has, so that the region can serve it.",
    "status": "Tell how far it is, and what is missing.",
    "finish": "Let the region stand alone, once everything is here.",
    "rollback": "Give it up: the Glance has everything.",
}


@click.command(
    "adopt",
    cls=LazyGroup,
    lines={name: (f"meltemi.cli.adopt.{name}", line) for name, line in _COMMANDS.items()},
    epilog="Exit codes: 0 done, 1 not everything is here yet, 2 usage, 3 images failed or another "
    "adoption is in the way, 5 authentication, 6 the Glance is away, 9 the database failed, "
    "74 no output.",
)
def command() -> None:
    """Let a region take over from a Glance, which stays the truth until `finish`.

    The Glance is named by `adopt` in the region's meltemi-region.yaml.
    """

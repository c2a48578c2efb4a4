"""`meltemi bundle …`: archives carried by hand, or over a link of one way."""

from typing import Final

import click

from meltemi.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "make": "Write what an archive has, and another lacks, into files.",
    "apply": "Bring a set of bundles into an archive.",
    "state": "Write down what an archive has.",
}


@click.command(
    "bundle",
    cls=LazyGroup,
    lines={name: (f"meltemi.cli.bundle.{name}", line) for name, line in _COMMANDS.items()},
    epilog="Exit codes: 0 done, 2 usage, 3 no room or the archive is in use, 8 a set or an archive "
    "is not what was made or does not fit, 9 the archive's store is damaged or cannot be used.",
)
def command() -> None:
    """Carry a deduplicated archive to another by hand, or over a link of one way.

    ARCHIVE is a folder that `dump --dedup` wrote, or s3://bucket/prefix.
    """

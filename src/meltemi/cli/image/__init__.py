"""`meltemi image …`: images of a library and files of this machine."""

from typing import Final

import click

from meltemi.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "push": "Make an image of a file; only what is missing is sent.",
    "pull": "Make a file of an image; only what no file here has is fetched.",
    "ancestry": "Show what an image was made from, and what each generation added.",
}


@click.command(
    "image",
    cls=LazyGroup,
    lines={name: (f"meltemi.cli.image.{name}", line) for name, line in _COMMANDS.items()},
    epilog="Exit codes: 0 done, 2 usage, 3 the image failed, 5 authentication, 6 unreachable, "
    "74 no output.",
)
def command() -> None:
    """Push files to a library as images, and pull them back.

    A library is named as with all other commands, by --library or MELTEMI_LIBRARY: a clouds.yaml
    entry, the URL or host:port of an Image service without authentication.
    """

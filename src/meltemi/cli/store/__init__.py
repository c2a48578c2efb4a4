"""`meltemi store …`: the commands of the chunk store."""

from typing import Final

import click

from meltemi.cli.lazy import LazyGroup

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


@click.command(
    "store",
    cls=LazyGroup,
    lines={
        name: (f"meltemi.cli.store.{module}", line) for name, (module, line) in _COMMANDS.items()
    },
    epilog="Exit codes: 0 done, 2 usage, 3 an image failed or another collector is at work, "
    "5 authentication, 9 the store is damaged or cannot be used, 74 no output.",
)
def command() -> None:
    """Keep the data of images, every distinct piece once.

    STORE is a folder, or a bucket: s3://bucket/prefix, which needs an --index.
    """

"""What the commands about images have in common: the library, and how it is reached."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from meltemi.cli import options as opt
from meltemi.cli.work import with_tls
from meltemi.errors import ForbiddenError, RefusedError, UsageError
from meltemi.libraries.base import Library
from meltemi.libraries.opening import open_library
from meltemi.model.address import parse_address

library_options: Final = opt.together(
    opt.option(
        "--library",
        metavar="ADDRESS",
        required=True,
        help="The library: mycloud, mycloud:Region, a URL, or host:port.",
    ),
    opt.connection_options,
    opt.token_option,
)


@asynccontextmanager
async def opened(options: Mapping[str, Any]) -> AsyncIterator[Library]:
    """Open the library that is asked for; raise UsageError where it is an archive."""
    name = options["library"]
    address = parse_address(name)
    if address.path is not None or address.bucket is not None:
        raise UsageError(
            f"{name}: an archive: files and images are exchanged with a service; "
            "see `meltemi dump` and `meltemi load`"
        )
    library = await open_library(
        with_tls({name: address}, options)[name],
        name=name,
        token=options["token"],
        silence=options["timeout"].total_seconds(),
    )
    try:
        yield library
    except (ForbiddenError, RefusedError) as error:
        error.advice = ""  # it speaks of what may be left behind when images are copied
        raise
    finally:
        await library.close()


def in_region(name: str, region: str) -> str | None:
    """Name the library in another region of the same cloud; None where no cloud is named."""
    cloud = parse_address(name).cloud
    return f"{cloud}:{region}" if cloud else None


def tell(line: str) -> None:
    """Say something on stderr that a user should know."""
    click.echo(f"meltemi: {line}", err=True)

"""What the commands of bundles have in common."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.work import archive_address
from meltemi.errors import UsageError
from meltemi.libraries.archive.dedup.contents import Contents
from meltemi.libraries.archive.dedup.opening import open_contents
from meltemi.model.address import parse_address

INTERRUPTED = 130

archive_argument = click.argument("archive", metavar="ARCHIVE")
bundle_options = opt.together(
    opt.index_option,
    opt.option("-d", "--debug", is_flag=True, help="Log everything, and show tracebacks."),
    opt.option("-v", "--verbose", is_flag=True, help="Log what is done."),
)


def place_of(text: str) -> Path | str:
    """Give the folder or the bucket that an argument names."""
    address = parse_address(archive_address(text))
    place = address.path or address.bucket
    if place is None:
        raise UsageError(f"{text}: name the folder or the bucket of an archive")
    return place


@contextmanager
def working(options: Mapping[str, Any], *, leaves: str) -> Iterator[None]:
    """Log as the options say; Ctrl-C and SIGTERM end the work, and `leaves` says what is left."""
    quiet = not (options["debug"] or options["verbose"])
    logging.basicConfig(
        level=logging.ERROR if quiet else logging.DEBUG if options["debug"] else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"meltemi: interrupted: {leaves}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def opened(place: Path | str, options: Mapping[str, Any]) -> Iterator[Contents]:
    """Open an archive to be read."""
    with ExitStack() as held:
        yield open_contents(place, options["index"], held, writable=False)

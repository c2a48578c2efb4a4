"""What the commands of bundles have in common."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.telling import telling
from meltemi.cli.work import archive_address
from meltemi.errors import UsageError
from meltemi.libraries.archive.dedup.contents import Contents
from meltemi.libraries.archive.dedup.opening import open_contents
from meltemi.model.address import parse_address

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
def opened(place: Path | str, options: Mapping[str, Any]) -> Iterator[Contents]:
    """Open an archive to be read."""
    with ExitStack() as held:
        yield open_contents(place, options["index"], held, writable=False)


@contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Tell how far some work is; what is given takes how many bytes were done since last."""
    come = 0
    with telling(what, total) as tell:

        def done(count: int) -> None:
            nonlocal come
            come += count
            tell(come, total)

        yield done

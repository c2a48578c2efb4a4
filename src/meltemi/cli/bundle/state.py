"""`meltemi bundle state ARCHIVE FILE`."""

from pathlib import Path
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.bundle.work import archive_argument, bundle_options, opened, place_of
from meltemi.cli.working import interruptible
from meltemi.libraries.archive.bundles.making import state_of
from meltemi.libraries.archive.bundles.sealing import write_file


@click.command("state")
@archive_argument
@click.argument("file", metavar="FILE", type=opt.FilePath(dir_okay=False))
@bundle_options
def command(archive: str, file: Path, **options: Any) -> int:
    """Write down in FILE what ARCHIVE has, for the --since of a set that is made elsewhere."""
    place = place_of(archive)
    with interruptible(options, "nothing was written"), opened(place, options) as contents:
        write_file(file.absolute(), state_of(contents).encode())
    return 0

"""`meltemi db upgrade`."""

from typing import Any

import click

from meltemi.catalogue.migrations import upgrade as upgrade_catalogue
from meltemi.cli.options import option
from meltemi.cli.output import check_columns, output_options, print_one

_COLUMNS = ("Before", "Now")


@click.group("db", epilog="Exit codes: 0 done, 2 usage, 9 the database failed, 74 no output.")
def command() -> None:
    """Prepare the database of a region, where it keeps what it knows of its images."""


@command.command("upgrade")
@option(
    "--database",
    metavar="URL",
    required=True,
    help="sqlite:////path/to/file or postgresql://user@host/database, which must be there.",
)
@output_options
def upgrade(database: str, **options: Any) -> int:
    """Make or change its tables as this release needs them.

    Run it before the first start and before the processes of a new release start; those of the
    release before may go on meanwhile. Run again, it changes nothing. SQLite needs no such
    command: a region upgrades its file itself.
    """
    check_columns(_COLUMNS, options)
    before, now = upgrade_catalogue(database)
    print_one({"Before": before or "empty", "Now": now}, _COLUMNS, options)
    return 0

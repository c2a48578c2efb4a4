"""`meltemi db`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meltemi.catalogue.migrations import upgrade as upgrade_catalogue
from meltemi.catalogue.sql import open_catalogue
from meltemi.cli.options import FilePath, option
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.model.definitions import Described, Existing

_COLUMNS = ("Before", "Now")
_LOADED = ("Loaded", "Left")

_DATABASE = option(
    "--database",
    metavar="URL",
    required=True,
    help="sqlite:////path/to/file or postgresql://user@host/database, which must be there.",
)


@click.group("db", epilog="Exit codes: 0 done, 2 usage, 9 the database failed, 74 no output.")
def command() -> None:
    """Prepare the database of a region, where it keeps what it knows of its images."""


@command.command("upgrade")
@_DATABASE
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


@command.command("load-metadefs")
@click.argument("path", type=FilePath())
@option("--merge", is_flag=True, help="Add to a namespace that is there what it lacks.")
@option("--prefer-new", is_flag=True, help="Do that, and update what it has.")
@option("--overwrite", is_flag=True, help="Delete a namespace that is there, and load it anew.")
@_DATABASE
@output_options
def load_metadefs(path: Path, database: str, **options: Any) -> int:
    """Load metadata definitions from a JSON file, or from all those of a folder.

    The files are those of Glance, which are found in its package under etc/glance/metadefs and
    mostly installed in /etc/glance/metadefs. A namespace that is there already is left as it is,
    unless one of the options says otherwise. Where one file cannot be used, none is loaded.
    """
    from meltemi.region.definition_files import (  # noqa: PLC0415 - slow to import
        read_definitions,
    )

    check_columns(_LOADED, options)
    existing = _existing(**options)
    described = read_definitions(path)
    loaded = asyncio.run(_load(database, described, existing))
    counts = {"Loaded": loaded, "Left": len(described) - loaded}
    print_one(counts, _LOADED, options)
    return 0


def _existing(*, merge: bool, prefer_new: bool, overwrite: bool, **_: object) -> Existing:
    if prefer_new and overwrite:
        raise click.UsageError("choose one of --prefer-new and --overwrite")
    if prefer_new:
        return Existing.UPDATE
    if overwrite:
        return Existing.REPLACE
    return Existing.COMPLETE if merge else Existing.SKIP


async def _load(database: str, described: Sequence[Described], existing: Existing) -> int:
    """Load namespaces; count those about which anything was done."""
    catalogue = await open_catalogue(database)
    try:
        return sum([await catalogue.definitions.load(one, existing) for one in described])
    finally:
        await catalogue.close()

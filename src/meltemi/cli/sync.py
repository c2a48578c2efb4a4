"""`meltemi sync [FILE]`."""

from pathlib import Path
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options
from meltemi.cli.work import RESULT_COLUMNS, configured, replicate


@click.command("sync")
@opt.file_argument
@opt.option("--route", multiple=True, help="Only this route; repeatable.")
@opt.option("--dry-run", is_flag=True, help="Only show what would be done.")
@opt.connection_options
@output_options
def command(file: Path, **options: Any) -> int:
    """Carry out the routes of FILE (meltemi.yaml), one after another."""
    check_columns(RESULT_COLUMNS, options)
    routes, connections = configured(file, options, writing=not options["dry_run"])
    return replicate(routes, connections, options)

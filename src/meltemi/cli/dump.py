"""`meltemi dump FROM PATH`."""

from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options
from meltemi.cli.selection import selection_from
from meltemi.cli.work import RESULT_COLUMNS, archive_address, connections_from, replicate
from meltemi.model.route import Route


@click.command("dump")
@click.argument("source", metavar="FROM")
@click.argument("path", metavar="PATH")
@opt.option("--dedup", is_flag=True, help="Store every distinct piece of data once.")
@opt.option("--dry-run", is_flag=True, help="Only show what would be done.")
@opt.selection_options
@opt.archiving_options
@opt.engine_options
@opt.index_option
@opt.connection_options
@opt.source_token_options
@opt.legacy_options("targettoken")
@output_options
def command(source: str, path: str, **options: Any) -> int:
    """Write the images of FROM into the archive at PATH, a folder that a person can read.

    With --dedup, into one that stores every distinct piece of data once, so that a new build costs
    what is new in it; PATH may then be a bucket, s3://bucket/prefix, too. What such an archive has
    and another lacks, `meltemi bundle make` writes into files of a given size.

    What is there already, unchanged, is skipped. Images that vanished from FROM stay.
    """
    check_columns(RESULT_COLUMNS, options)
    route = Route(
        name="dump",
        source=source,
        targets=(archive_address(path),),
        selection=selection_from(options),
        policy=opt.archiving_policy_from(options),
        limits=opt.limits_from(options),
    )
    connections = connections_from(route, options, writing=not options["dry_run"])
    return replicate([route], connections, options)

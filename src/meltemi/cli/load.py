"""`meltemi load TO PATH`."""

from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options
from meltemi.cli.selection import adhoc_name, selection_from
from meltemi.cli.work import RESULT_COLUMNS, archive_address, connections_from, replicate
from meltemi.model.route import Route


@click.command("load")
@click.argument("target", metavar="TO")
@click.argument("path", metavar="PATH")
@opt.option("--dry-run", is_flag=True, help="Only show what would be done.")
@opt.selection_options
@opt.policy_options
@opt.removal_options
@opt.engine_options
@opt.index_option
@opt.connection_options
@opt.target_token_options
@opt.legacy_options("sourcetoken")
@output_options
def command(target: str, path: str, **options: Any) -> int:
    """Bring the images of the archive at PATH into TO.

    The archive is verified before anything is created. Folders written by
    `glance-replicator dump` are read too. A set of bundles is brought into an archive first, by
    `meltemi bundle apply`.
    """
    check_columns(RESULT_COLUMNS, options)
    route = Route(
        name=adhoc_name("load", options),
        source=archive_address(path),
        targets=(target,),
        selection=selection_from(options),
        policy=opt.policy_from(options),
        limits=opt.limits_from(options),
    )
    connections = connections_from(route, options, writing=not options["dry_run"])
    return replicate([route], connections, options)

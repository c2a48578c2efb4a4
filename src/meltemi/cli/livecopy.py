"""`meltemi livecopy FROM TO [TO …]`."""

from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options
from meltemi.cli.selection import adhoc_name, selection_from
from meltemi.cli.work import RESULT_COLUMNS, connections_from, replicate
from meltemi.errors import UsageError
from meltemi.model.route import Route


@click.command("livecopy")
@click.argument("source", metavar="FROM")
@click.argument("targets", metavar="TO...", nargs=-1, required=True)
@opt.option("--dry-run", is_flag=True, help="Only show what would be done.")
@opt.option(
    "--pull",
    is_flag=True,
    help="Let each TO fetch the data from FROM itself, where both are regions of one cloud.",
)
@opt.selection_options
@opt.policy_options
@opt.removal_options
@opt.option(
    "--relay",
    metavar="TO",
    help="One of the TO: copy to it first, and from there to the others.",
)
@opt.engine_options
@opt.index_option
@opt.connection_options
@opt.token_options
@output_options
def command(source: str, targets: tuple[str, ...], **options: Any) -> int:
    """Make the images of FROM appear, complete and verified, in every TO.

    A second run goes on where the first one ended and copies only what is missing or changed.
    """
    check_columns(RESULT_COLUMNS, options)
    route = Route(
        name=adhoc_name("livecopy", options),
        source=source,
        targets=targets,
        selection=selection_from(options),
        policy=opt.policy_from(options),
        limits=opt.limits_from(options),
        relay=options["relay"],
    )
    if route.relay not in (None, *targets):
        raise UsageError(f"--relay: {route.relay} is none of the targets")
    connections = connections_from(route, options, writing=not options["dry_run"])
    return replicate([route], connections, options)

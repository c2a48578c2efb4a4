"""`meltemi compare FROM TO`."""

from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options
from meltemi.cli.selection import adhoc_name, selection_from
from meltemi.cli.work import (
    COMPARE_COLUMNS,
    DIFFERENCES,
    Connections,
    connections_from,
    library_names,
    plan_all,
    print_plan,
    run,
    worst_error,
)
from meltemi.model.route import Route
from meltemi.replication.run import opened


@click.command("compare")
@click.argument("source", metavar="FROM")
@click.argument("targets", metavar="TO...", nargs=-1, required=True)
@opt.selection_options
@opt.policy_options
@opt.index_option
@opt.connection_options
@opt.token_options
@opt.legacy_options("chunksize")
@output_options
def command(source: str, targets: tuple[str, ...], **options: Any) -> int:
    """Show what separates FROM from TO: exit code 0 where nothing does, 1 where something does.

    It is what livecopy would do with the same options. What only lacks a mark of origin is in sync.
    """
    check_columns(COMPARE_COLUMNS, options)
    route = Route(
        name=adhoc_name("livecopy", options),
        source=source,
        targets=targets,
        selection=selection_from(options),
        policy=opt.policy_from(options),
    )
    connections = connections_from(route, options, writing=False)
    return run(_compare(route, connections, options), options)


async def _compare(route: Route, connections: Connections, options: dict[str, Any]) -> int:
    async with opened(library_names([route]), connections.open) as libraries:
        [(_, plan)] = await plan_all([route], libraries, sending=False)
    plan = plan.without_marks()  # what was copied by other means is no different for that
    print_plan([(route, plan)], options, COMPARE_COLUMNS)
    return worst_error([plan]) or (DIFFERENCES if plan.differs else 0)

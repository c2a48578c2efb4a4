"""`meltemi plan [FILE]`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options
from meltemi.cli.work import (
    DIFFERENCES,
    PLAN_COLUMNS,
    Connections,
    configured,
    library_names,
    plan_all,
    print_plan,
    run,
    worst_error,
)
from meltemi.model.route import Route
from meltemi.replication.planfile import VERSION, Header, PlannedRoute, save_plan
from meltemi.replication.run import opened


@click.command("plan")
@opt.file_argument
@opt.option("--route", multiple=True, help="Only this route; repeatable.")
@opt.option("--out", type=opt.FilePath(dir_okay=False), help="Save the plan for `apply`.")
@opt.option("--check", is_flag=True, help="Exit with 1 where there is anything to do.")
@opt.connection_options
@output_options
def command(file: Path, **options: Any) -> int:
    """Show what `meltemi sync` would do, and why; touches nothing."""
    check_columns(PLAN_COLUMNS, options)
    routes, connections = configured(file, options, writing=False)
    return run(_plan(routes, connections, options), options)


async def _plan(routes: list[Route], connections: Connections, options: dict[str, Any]) -> int:
    async with opened(library_names(routes), connections.open) as libraries:
        plans = await plan_all(routes, libraries)
        identities = {name: library.identity for name, library in libraries.open.items()}
    if options["out"]:
        header = Header(
            meltemi_plan=VERSION,
            made_at=datetime.now(UTC),
            libraries=connections.addresses,
            identities=identities,
            routes={r.name: PlannedRoute(r.limits, r.policy.max_delete) for r in routes},
            incomplete=any(plan.errors for _, plan in plans),
        )
        save_plan(options["out"], header, {route.name: plan for route, plan in plans})
    found = [plan for _, plan in plans]
    print_plan(plans, options)
    differs = options["check"] and any(plan.differs for plan in found)
    return worst_error(found) or (DIFFERENCES if differs else 0)

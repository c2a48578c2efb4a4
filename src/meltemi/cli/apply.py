"""`meltemi apply PLAN`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from meltemi.cli import options as opt
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.progress import progress
from meltemi.cli.work import (
    RESULT_COLUMNS,
    Connections,
    carry_out,
    exit_code,
    is_bad,
    note_rows,
    outcome_row,
    run,
    with_tls,
    worst_error,
)
from meltemi.cli.working import GOES_ON
from meltemi.errors import StalePlanError
from meltemi.model.plan import Plan
from meltemi.replication.planfile import Header, load_plan
from meltemi.replication.report import Outcome
from meltemi.replication.run import Libraries, opened


@click.command("apply")
@click.argument("file", metavar="PLAN", type=opt.FilePath(dir_okay=False))
@opt.connection_options
@output_options
def command(file: Path, **options: Any) -> int:
    """Carry out a plan that `meltemi plan --out` saved.

    Both images of each action are looked at just before it; what has changed since the plan was
    made is skipped, and the exit code is 4. Nothing is planned anew.
    """
    check_columns(RESULT_COLUMNS, options)
    header, plans = load_plan(file)
    targets = {a.subject.target for plan in plans.values() for a in plan.actions}
    connections = Connections(
        with_tls(header.libraries, options),
        options["timeout"].total_seconds(),
        targets=frozenset(targets),
        writing=True,
    )
    return run(_apply(header, plans, connections, options), options, leaves=GOES_ON)


async def _apply(
    header: Header, plans: Mapping[str, Plan], connections: Connections, options: dict[str, Any]
) -> int:
    outcomes: list[Outcome] = []
    done: list[Plan] = []
    used = {
        name
        for plan in plans.values()
        for action in plan.actions
        for name in (action.subject.source, action.subject.target, action.sender)
    }
    async with opened(sorted(used), connections.open) as libraries:
        for name in sorted(used):
            _same_library(header, libraries, name)
        with progress() as reporter:
            for route, plan in plans.items():
                reporter.expect(plan)
                failed = header.incomplete or worst_error(done) or any(map(is_bad, outcomes))
                carried, ends = await carry_out(
                    plan,
                    libraries,
                    reporter,
                    alone=len(plans) == 1,
                    limits=header.routes[route].limits,
                    max_delete=header.routes[route].max_delete,
                    checked=True,
                    failed=bool(failed),
                )
                done.append(carried)
                outcomes += ends
    rows = [outcome_row(outcome) for outcome in outcomes]
    for plan in done:
        rows += note_rows(plan, RESULT_COLUMNS)
    print_rows(rows, RESULT_COLUMNS, options)
    return exit_code(outcomes, done)


def _same_library(header: Header, libraries: Libraries, name: str) -> None:
    identity = libraries.require(name).identity
    if identity != header.identities.get(name):
        raise StalePlanError(
            f"{name} was {header.identities.get(name)} when the plan was made and is "
            f"{identity} now; plan again"
        )

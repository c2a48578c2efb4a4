"""What commands that replicate have in common: opening, planning, running, telling the result."""

import asyncio
import signal
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli.output import print_rows
from meltemi.cli.progress import progress
from meltemi.cli.working import GOES_ON, interrupted, log_as
from meltemi.errors import GuardError, ImageError, MeltemiError, StalePlanError, UsageError
from meltemi.libraries.base import Library
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress, parse_address
from meltemi.model.plan import Action, Plan, Standing
from meltemi.model.route import Link, Route
from meltemi.model.units import format_size
from meltemi.replication.guard import is_removal, judged
from meltemi.replication.limits import Links
from meltemi.replication.report import Outcome, Reporter, Result
from meltemi.replication.run import Libraries, opened, plan_route, run_plan

PLAN_COLUMNS: Final = ("Action", "ID", "Name", "From", "To", "Bytes", "Wire", "Reason")
RESULT_COLUMNS: Final = ("Result", "Action", "ID", "Name", "To", "Bytes", "Wire", "Detail")
COMPARE_COLUMNS: Final = tuple(column for column in PLAN_COLUMNS if column != "Wire")
DIFFERENCES: Final = 1
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Connections:
    """How to reach libraries: their addresses by name, tokens, and how long they may be silent.

    `links` are what lies between them.
    With `dedup`, a target that is not there yet is to store every distinct piece of data once;
    `index` is the database of an archive in a bucket.
    """

    addresses: Mapping[str, LibraryAddress]
    silence: float
    tokens: Mapping[str, str | None] = field(default_factory=dict)
    targets: frozenset[str] = frozenset()
    writing: bool = False
    links: tuple[Link, ...] = ()
    dedup: bool = False
    index: str | None = None

    async def open(self, name: str) -> Library:
        """Open a library by its name."""
        return await open_library(
            self.addresses[name],
            name=name,
            token=self.tokens.get(name),
            silence=self.silence,
            writable=self.writing and name in self.targets,
            may_be_absent=name in self.targets,
            dedup=self.dedup and name in self.targets,
            index=self.index,
        )


def connections_from(route: Route, options: Mapping[str, Any], *, writing: bool) -> Connections:
    """Read the addresses of a command line; the name of a library is what the user wrote."""
    names = library_names([route])
    if len(names) <= len(route.targets):
        twice = next(n for n in names if [route.source, *route.targets].count(n) > 1)
        raise UsageError(f"{twice} is named twice")
    token = options.get("token")
    target_token = options.get("targettoken") or token
    return Connections(
        with_tls({name: parse_address(name) for name in names}, options),
        options["timeout"].total_seconds(),
        dict.fromkeys(route.targets, target_token)
        | {route.source: options.get("sourcetoken") or token},
        frozenset(route.targets),
        writing=writing,
        dedup=options.get("dedup", False),
        index=options.get("index"),
    )


def configured(
    file: Path, options: Mapping[str, Any], *, writing: bool
) -> tuple[list[Route], Connections]:
    """Read the configuration; give its routes, or those that are asked for by name."""
    from meltemi.config.load import load  # noqa: PLC0415 - slow to import

    configuration = load(file)
    known = {route.name: route for route in configuration.routes}
    for name in options["route"]:
        if name not in known:
            raise UsageError(f"no route {name!r}: {file} has {', '.join(known) or 'none'}")
    routes = [known[name] for name in options["route"] or known]
    if not routes:
        raise UsageError(f"{file} has no routes")
    for route in routes:
        if owned := sorted(route.choosing.owned if route.choosing else ()):
            raise UsageError(
                f"route {route.name}: {owned[0]} is reached with the accounts of images' owners, "
                "which only the daemon has; name other routes with --route"
            )
    connections = Connections(
        with_tls(configuration.libraries, options),
        options["timeout"].total_seconds(),
        targets=frozenset(name for route in routes for name in route.targets),
        writing=writing,
        links=configuration.links,
    )
    return routes, connections


def archive_address(text: str) -> str:
    """Take an argument that can only be an archive; a bare word is a folder here.

    Raise UsageError for the empty one: it would be the folder that the user is in.
    """
    if not text:
        raise UsageError("an empty path; name the folder of an archive")
    if text.startswith("s3://"):
        return text
    return text if text.startswith(("/", ".", "~")) else f"./{text}"


def with_tls(
    addresses: Mapping[str, LibraryAddress], options: Mapping[str, Any]
) -> dict[str, LibraryAddress]:
    """Let `--cacert` and `--insecure` speak for every library that has no word of its own."""
    return {name: _with_tls(address, options) for name, address in addresses.items()}


def _with_tls(address: LibraryAddress, options: Mapping[str, Any]) -> LibraryAddress:
    if address.path is not None or address.bucket is not None:
        return address
    cacert: Path | None = address.cacert or options["cacert"]
    return replace(address, cacert=cacert, insecure=address.insecure or options["insecure"])


def run(work: Coroutine[Any, Any, int], options: Mapping[str, Any], *, leaves: str = "") -> int:
    """Run a command's work to its exit code; SIGTERM ends it as Ctrl-C does.

    Whoever is told to stop again, while it is stopping, goes on to stop in good order. `leaves`
    says what is left then; nothing where the work only looks.
    """
    log_as(options)

    async def interruptible() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def stop() -> None:
            for number in _STOPPING:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
            task.cancel()

        for number in _STOPPING:
            loop.add_signal_handler(number, stop)
        return await task

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        click.echo(err=True)  # a terminal has just shown ^C
        raise interrupted(leaves) from None


async def plan_all(
    routes: Sequence[Route], libraries: Libraries, *, sending: bool = True
) -> list[tuple[Route, Plan]]:
    """Plan routes one after another; what keeps one from being planned stands in its errors."""
    alone = len(routes) == 1
    return [(r, await _plan(r, libraries, alone=alone, sending=sending)) for r in routes]


async def _plan(route: Route, libraries: Libraries, *, alone: bool, sending: bool = True) -> Plan:
    try:
        plan = await plan_route(route, libraries, sending=sending)
    except MeltemiError as error:
        if alone:
            raise
        closed = next((n for n, known in libraries.errors.items() if known is error), None)
        plan = Plan(errors={closed or error.library or route.source: error})
    for problem in plan.errors.values():
        click.echo(f"meltemi: {problem}", err=True)
    return plan


async def show_plan(
    routes: Sequence[Route], connections: Connections, options: Mapping[str, Any]
) -> int:
    """Print what routes would do; the exit code is 0 even where they would do something."""
    async with opened(library_names(routes), connections.open) as libraries:
        plans = await plan_all(routes, libraries)
    print_plan(plans, options)
    return worst_error([plan for _, plan in plans])


def replicate(routes: Sequence[Route], connections: Connections, options: Mapping[str, Any]) -> int:
    """Plan and carry out routes, one after another, and print what became of each image.

    With `--dry-run`, only show what would be done.
    """
    if options.get("dry_run"):
        return run(show_plan(routes, connections, options), options)
    return run(_replicate(routes, connections, options), options, leaves=GOES_ON)


async def _replicate(
    routes: Sequence[Route], connections: Connections, options: Mapping[str, Any]
) -> int:
    rows: list[dict[str, Any]] = []
    plans: list[Plan] = []
    outcomes: list[Outcome] = []
    links = Links(connections.links)
    async with opened(library_names(routes), connections.open) as libraries:
        with progress() as reporter:
            for route in routes:
                plan = await _plan(route, libraries, alone=len(routes) == 1)
                reporter.expect(plan)
                plan, done = await carry_out(
                    plan,
                    libraries,
                    reporter,
                    alone=len(routes) == 1,
                    limits=route.limits,
                    max_delete=route.policy.max_delete,
                    links=links,
                    failed=bool(worst_error(plans)) or any(map(is_bad, outcomes)),
                )
                plans.append(plan)
                outcomes += done
                rows += [*map(outcome_row, done), *note_rows(plan, RESULT_COLUMNS)]
    print_rows(rows, RESULT_COLUMNS, options)
    if not rows:
        _summarize(list(zip(routes, plans, strict=True)))
    return exit_code(outcomes, plans)


async def carry_out(
    plan: Plan, libraries: Libraries, reporter: Reporter, *, alone: bool, **how: Any
) -> tuple[Plan, list[Outcome]]:
    """Carry out the plan of one route (see `run_plan`); what keeps it from that is in its errors.

    Raise that where the route is alone.
    """
    try:
        return plan, await run_plan(plan, libraries, reporter, **how)
    except MeltemiError as error:
        if alone:
            raise
        click.echo(f"meltemi: {error}", err=True)
        source = plan.actions[0].subject.source
        return replace(plan, errors={**plan.errors, source: error}), []


def library_names(routes: Sequence[Route]) -> list[str]:
    """Name every library of some routes once."""
    return list(dict.fromkeys(n for route in routes for n in (route.source, *route.targets)))


def print_plan(
    plans: Sequence[tuple[Route, Plan]],
    options: Mapping[str, Any],
    columns: Sequence[str] = PLAN_COLUMNS,
) -> None:
    """Print the plans of routes as rows."""
    rows: list[dict[str, Any]] = []
    for _, plan in plans:
        rows += [_action_row(action) for action in plan.actions]
        rows += note_rows(plan, PLAN_COLUMNS)
    print_rows(rows, columns, options)
    _summarize(plans)


def _summarize(planned: Sequence[tuple[Route, Plan]]) -> None:
    """Count on stderr; say what an operator would otherwise find out too late."""
    plans = [plan for _, plan in planned]
    in_sync = sum(count for plan in plans for count in plan.in_sync.values())
    actions = sum(len(plan.actions) for plan in plans)
    size = format_size(sum(plan.bytes for plan in plans))
    size = f"at most {size}" if any(plan.is_bound for plan in plans) else size
    notes = Counter(str(note.standing) for plan in plans for note in plan.notes)
    others = "".join(f", {count} {standing}" for standing, count in sorted(notes.items()))
    click.echo(f"{in_sync} in sync, {actions} to do ({size}){others}", err=True)
    for route, plan in planned:
        for _, guard in judged(filter(is_removal, plan.actions), route.policy.max_delete):
            if guard is not None:
                click.echo(f"meltemi: {guard}", err=True)
        if not (plan.actions or plan.notes or plan.errors or sum(plan.in_sync.values())):
            click.echo(f"meltemi: no image of {route.source} is selected", err=True)


def note_rows(plan: Plan, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Give rows for what a plan leaves alone, and for targets that could not be read."""
    rows: list[dict[str, Any]] = [
        {
            "Result": str(note.standing),
            "Action": "" if "Result" in columns else str(note.standing),
            "ID": note.subject.source_id,
            "Name": note.subject.name,
            "From": note.subject.source,
            "To": note.subject.target,
            "Bytes": 0,
            "Wire": 0,
            "Reason": note.reason,
            "Detail": note.reason,
        }
        for note in plan.notes
    ]
    rows += [
        dict.fromkeys((*PLAN_COLUMNS, *RESULT_COLUMNS), "")
        | {"Result": "failed", "Action": "list", "To": name, "Bytes": 0, "Wire": 0}
        | {"Reason": str(error), "Detail": str(error)}
        for name, error in plan.errors.items()
    ]
    return [{column: row[column] for column in columns} for row in rows]


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Give the row of one action's end."""
    subject = outcome.action.subject
    return {
        "Result": str(outcome.result),
        "Action": str(outcome.action.kind),
        "ID": subject.source_id,
        "Name": subject.name,
        "To": subject.target,
        "Bytes": outcome.bytes,
        "Wire": outcome.wire,
        "Detail": outcome.detail or outcome.action.reason,
    }


def exit_code(outcomes: Sequence[Outcome], plans: Sequence[Plan]) -> int:
    """Choose the exit code of a run: the gravest thing that happened decides."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if code := worst_error(plans):
        return code
    if failed := [o for o in outcomes if o.result is Result.FAILED]:
        whole = [o.error.exit_code for o in failed if o.error and o.error.library]
        return whole[0] if len(whole) == len(failed) else ImageError.exit_code
    if any(isinstance(error, StalePlanError) for error in errors):
        return StalePlanError.exit_code
    if guards := [error for error in errors if isinstance(error, GuardError)]:
        return guards[0].exit_code
    return DIFFERENCES if any(o.result is Result.SKIPPED for o in outcomes) or left(plans) else 0


def is_bad(outcome: Outcome) -> bool:
    """Say whether an action went wrong, so that nothing may be removed after it."""
    return outcome.result in (Result.FAILED, Result.STALE)


def left(plans: Sequence[Plan]) -> bool:
    """Say whether plans leave something different on purpose."""
    return any(n.standing is not Standing.LEFT_OUT for plan in plans for n in plan.notes)


def worst_error(plans: Sequence[Plan]) -> int:
    """Give the exit code of the first target that could not be read; 0 where all could."""
    errors: list[MeltemiError] = [error for plan in plans for error in plan.errors.values()]
    return errors[0].exit_code if errors else 0


def _action_row(action: Action) -> dict[str, Any]:
    subject = action.subject
    return {
        "Action": str(action.kind),
        "ID": subject.source_id,
        "Name": subject.name,
        "From": subject.source,
        "To": subject.target,
        "Bytes": action.bytes,
        "Wire": action.traffic,
        "Reason": action.reason,
    }

"""Between rows and records."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from meltemi.daemon.state.records import Act, Cause, Change, Held, Pause, Request, Run
from meltemi.model.placement import Observed, Place, Placement


def placement_row(placement: Placement) -> dict[str, Any]:
    """Give the row of a placement."""
    row = {one.name: getattr(placement, one.name) for one in fields(placement)}
    del row["place"]
    return {**row, **placement.place._asdict()}


def placement_of(row: Mapping[str, Any]) -> Placement:
    """Read a placement."""
    values = dict(row)
    place = Place(*(values.pop(name) for name in Place._fields))
    return Placement(**values | {"place": place, "observed": Observed(values["observed"])})


def change_row(change: Change) -> dict[str, Any]:
    """Give the row of a change, without its number."""
    row = {one.name: getattr(change, one.name) for one in fields(change)}
    del row["id"], row["place"]
    return {**row, **change.place._asdict()}


def change_of(row: Mapping[str, Any]) -> Change:
    """Read a change."""
    values = dict(row)
    place = Place(*(values.pop(name) for name in Place._fields))
    return Change(**values | {"place": place, "observed": Observed(values["observed"])})


def run_row(run: Run) -> dict[str, Any]:
    """Give the row of a run, without its number."""
    row = asdict(run)
    del row["id"]
    return row | {"libraries": list(run.libraries)}


def run_of(row: Mapping[str, Any]) -> Run:
    """Read a run."""
    given = {"libraries": tuple(row["libraries"]), "cause": Cause(row["cause"])}
    return Run(**dict(row) | given)


def request_of(row: Mapping[str, Any]) -> Request:
    """Read a request."""
    values = {name: value for name, value in row.items() if name != "id"}
    return Request(**values | {"cause": Cause(values["cause"])})


def pause_of(row: Mapping[str, Any]) -> Pause:
    """Read a pause."""
    return Pause(**dict(row) | {"kind": Held(row["kind"])})


def act_row(act: Act) -> dict[str, Any]:
    """Give the row of an act, without its number."""
    row = asdict(act)
    del row["id"]
    return row


def act_of(row: Mapping[str, Any]) -> Act:
    """Read an act."""
    return Act(**row)

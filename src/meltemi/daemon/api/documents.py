"""What is told of the state, as JSON. Times are UTC, spans are seconds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from meltemi.daemon.metering import Amount, Entry
from meltemi.daemon.state.records import Act, Change, Locked, Pause, Run
from meltemi.daemon.state.views import Progress
from meltemi.model.placement import status_of


def encode(document: Any) -> bytes:
    """Write JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def moment(seconds: float | None) -> str | None:
    """Tell a moment, given in seconds since 1970, to the millisecond by which it is metered."""
    if seconds is None:
        return None
    whole = datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC)
    return f"{whole.isoformat('T', 'milliseconds')[:-6]}Z"


def placement(row: Any, now: float, within: Mapping[str, float]) -> dict[str, Any]:
    """Tell a row of `PLACEMENT_COLUMNS`; `within` are the deadlines of routes, in seconds."""
    # At once, not each by its name: there are ten thousand on a page.
    source, image, library, route, name, owner, wanted, observed, detail, *others = row
    since, began, run, size, done, total, attempts, due, target_id = others
    behind = None if began is None else max(round(now - began, 3), 0.0)
    deadline = within.get(route)
    return {
        "source": source,
        "image": image,
        "library": library,
        "route": route,
        "name": name,
        "owner": owner,
        "wanted": wanted,
        "observed": observed,
        "status": status_of(observed, detail, done, total),
        "detail": detail,
        "since": moment(since),
        "behind": behind,
        "late": None if deadline is None else behind is not None and behind > deadline,
        "run": run,
        "size": size,
        "done": done,
        "total": total,
        "attempts": attempts,
        "due": moment(due),
        "target_id": target_id,
    }


def change(one: Change) -> dict[str, Any]:
    """Tell a change of a placement."""
    return {
        "id": one.id,
        "at": moment(one.at),
        **one.place._asdict(),
        "route": one.route,
        "name": one.name,
        "owner": one.owner,
        "wanted": one.wanted,
        "observed": one.observed,
        "status": status_of(one.observed, one.detail, 0, 0),
        "detail": one.detail,
        "run": one.run,
        "size": one.size,
        "moved": one.moved,
    }


def progress(one: Progress, now: float) -> dict[str, Any]:
    """Tell how far an image has come."""
    return {
        "at": moment(now),
        **one.place._asdict(),
        "name": one.name,
        "status": status_of("copying", "", one.done, one.total),
        "done": one.done,
        "total": one.total,
    }


def run(one: Run, *, with_holder: bool) -> dict[str, Any]:
    """Tell a run, and which process made it where that is asked for."""
    told = {**asdict(one), "began": moment(one.began), "ended": moment(one.ended)}
    if not with_holder:
        del told["holder"]
    return told


def act(one: Act) -> dict[str, Any]:
    """Tell an entry of the audit log."""
    return {**asdict(one), "at": moment(one.at)}


def pause(one: Pause) -> dict[str, Any]:
    """Tell a pause."""
    return {**asdict(one), "at": moment(one.at)}


def usage(entry: Entry, amount: Amount) -> dict[str, Any]:
    """Tell what a project used in a library on a day."""
    return {
        "day": entry.day,
        "project": entry.project or None,
        "library": entry.library,
        "moved": amount.moved,
        "byte_hours": amount.byte_hours,
    }


def answer(row: Any) -> dict[str, Any]:
    """Tell what an owner is told of an image."""
    return {**row._asdict(), "at": moment(row.at)}


def credential(one: Locked) -> dict[str, Any]:
    """Tell that there is a credential, and nothing of what it is."""
    return {"project": one.owner, "library": one.library, "at": moment(one.at), "by": one.by}


def page(kind: str, documents: Sequence[Any], following: str | None) -> bytes:
    """Write a page: documents of a kind, and the address of the next page, None on the last."""
    return encode({kind: documents, "next": following})

"""Saved plans: JSON lines, a header first, then one action or note a line.

A plan names libraries and never holds credentials, yet it says much about images: only its owner
may read it. Lines are checked on reading, since people edit such files.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from meltemi.errors import UsageError
from meltemi.model.address import LibraryAddress
from meltemi.model.plan import Action, Kind, Note, Plan
from meltemi.model.route import Limits

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """What a plan must remember of a route to be carried out as it was meant."""

    limits: Limits
    max_delete: int


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which libraries, by what identity, the plan was made for.

    `incomplete` says that some could not be read, so that nothing may be removed.
    """

    meltemi_plan: Literal[1]
    made_at: datetime
    libraries: Mapping[str, LibraryAddress]
    identities: Mapping[str, str]
    routes: Mapping[str, PlannedRoute]
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    action: Action | None = None
    note: Note | None = None


_HEADER: Final[TypeAdapter[Header]] = TypeAdapter(Header)
_LINE: Final[TypeAdapter[_Line]] = TypeAdapter(_Line)


def save_plan(path: Path, header: Header, plans: Mapping[str, Plan]) -> None:
    """Write plans, whole or not at all, readable by their owner only."""
    lines = [_HEADER.dump_json(header)]
    for plan in plans.values():
        lines += [_LINE.dump_json(_Line(action=action)) for action in plan.actions]
        lines += [_LINE.dump_json(_Line(note=note)) for note in plan.notes]
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"cannot write the plan {path}: {error.strerror}") from error


def load_plan(path: Path) -> tuple[Header, Mapping[str, Plan]]:
    """Read plans by their routes; raise UsageError naming the line where one is not as written."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}") from error
    first, *rest = text.splitlines() or [b""]
    header: Header = _read(_HEADER, first, path, 1)
    actions: dict[str, list[Action]] = {name: [] for name in header.routes}
    notes: dict[str, list[Note]] = {name: [] for name in header.routes}
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(rest, 2):
        item: _Line = _read(_LINE, line, path, number)
        subject = (item.action or item.note or _nothing(path, number)).subject
        named = {subject.source, subject.target, item.action.sender if item.action else ""} - {""}
        if subject.route not in actions or not named <= {*header.libraries}:
            raise UsageError(f"{path}:{number}: a route or a library that the header does not know")
        if item.action is not None:
            if item.action.kind is Kind.COPY and item.action.image is None:
                raise UsageError(f"{path}:{number}: a copy without its image")
            if not item.action.target_id:
                raise UsageError(f"{path}:{number}: an action without the id of its image")
            if (first_at := seen.setdefault(_task(item.action), number)) != number:
                raise UsageError(f"{path}:{number}: the same to do as in line {first_at}")
            if item.action.set.get("status", "active") not in ("active", "deactivated"):
                raise UsageError(f"{path}:{number}: a status that nobody can set")
            actions[subject.route].append(item.action)
        elif item.note is not None:
            notes[subject.route].append(item.note)
    plans = {name: Plan(tuple(actions[name]), tuple(notes[name])) for name in header.routes}
    return header, plans


def _task(action: Action) -> tuple[str, ...]:
    """Name what a route can have done only once: an image copied, or one changed in one way."""
    subject = action.subject
    what = subject.source_id if action.kind is Kind.COPY else action.target_id
    return subject.route, subject.target, action.kind, what


def _read(adapter: TypeAdapter[Any], line: bytes, path: Path, number: int) -> Any:
    try:
        return adapter.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = "no plan of this version" if number == 1 else "not as `meltemi plan` writes it"
        where = f"{place}: " if place else ""
        raise UsageError(f"{path}:{number}: {what}: {where}{first['msg']}") from error


def _nothing(path: Path, number: int) -> Action:
    raise UsageError(f"{path}:{number}: neither an action nor a note")

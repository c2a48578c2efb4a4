"""The exit code of a run in which several things go wrong; docs/replication.md has the order."""

from dataclasses import replace
from itertools import combinations
from typing import Final

import pytest

from meltemi.cli.work import exit_code
from meltemi.errors import (
    ArchiveError,
    AuthenticationError,
    BusyError,
    GuardError,
    MeltemiError,
    QuotaError,
    StalePlanError,
    UnreachableError,
)
from meltemi.model.plan import Action, Kind, Note, Plan, Standing, Subject
from meltemi.replication.report import Outcome, Result
from tests.cli.in_memory import Command

SUBJECT: Final = Subject("route", "source", "target", "1", "image")
ACTION: Final = Action(Kind.COPY, SUBJECT, "1", "why", "a", "b")


def ended(result: Result, error: MeltemiError | None = None) -> Outcome:
    return Outcome(ACTION, result, "because", "1", error=error)


def noted(standing: Standing) -> Plan:
    return Plan(notes=(Note(SUBJECT, standing, "because"),))


LOST: Final = UnreachableError("gone", library="target")
LADDER: Final[dict[str, tuple[Outcome | Plan, int]]] = {
    "a library that cannot be read": (Plan(errors={"target": ArchiveError("damaged")}), 8),
    "an image that failed": (ended(Result.FAILED, QuotaError("full")), 3),
    "a stale action": (ended(Result.STALE, StalePlanError("changed")), 4),
    "a guard": (ended(Result.SKIPPED, GuardError("too many")), 7),
    "an image in other hands": (ended(Result.SKIPPED, BusyError("busy")), 1),
    "a conflict": (noted(Standing.CONFLICT), 1),
    "an image that is left out": (noted(Standing.LEFT_OUT), 0),
    "an image that arrived": (ended(Result.DONE), 0),
}


def code_of(*happened: Outcome | Plan) -> int:
    outcomes = [one for one in happened if isinstance(one, Outcome)]
    return exit_code(outcomes, [one for one in happened if isinstance(one, Plan)])


@pytest.mark.parametrize("happened", [*LADDER])
def test_each_alone(happened: str) -> None:
    what, code = LADDER[happened]
    assert code_of(what) == code


@pytest.mark.parametrize(("graver", "lesser"), [*combinations(LADDER, 2)])
def test_the_graver_of_two_decides(graver: str, lesser: str) -> None:
    (what, code), (other, _) = LADDER[graver], LADDER[lesser]
    assert code_of(what, other) == code_of(other, what) == code


def test_all_at_once() -> None:
    assert code_of(*(what for what, _ in LADDER.values())) == 8


def test_of_several_libraries_the_first_decides() -> None:
    refusing, dead = AuthenticationError("no"), UnreachableError("gone")
    assert code_of(Plan(errors={"a": refusing, "b": dead})) == 5
    assert code_of(Plan(errors={"b": dead}), Plan(errors={"a": refusing})) == 6


def test_a_library_lost_on_the_way_decides_only_where_nothing_else_failed() -> None:
    lost = ended(Result.FAILED, LOST)
    assert code_of(lost, lost, ended(Result.DONE)) == 6
    assert code_of(lost, ended(Result.FAILED, QuotaError("full"))) == 3


def test_as_each_is_mended_the_next_one_shows(command: Command) -> None:
    source, target, _ = map(command.library, ("source", "target", "other"))
    wishes = {"from": "source", "to": ["target", "other"], "on_source_deletion": "hide"}
    command.configure(route=wishes)
    gone = source.put(b"gone", name="gone")
    command.run("sync")
    source.remove(gone.id)
    source.put(b"taken", name="taken")
    in_the_way = target.put(b"a stranger's", name="taken", owner=target.project)
    source.put(b"failing", name="failing")
    full = target.fail("upload", QuotaError("full"), times=100)
    there = command.libraries["other"]
    command.libraries["other"] = UnreachableError("gone", library="other")
    command.configure(route={**wishes, "max_delete": 0})
    command.run("sync", code=6)
    command.libraries["other"] = there
    command.run("sync", code=3)
    full.times = 0
    command.run("sync", code=7)
    command.configure(route=wishes)
    command.run("sync", code=1)
    target.remove(in_the_way.id)
    command.run("sync", code=0)
    assert target.images[gone.id].os_hidden


def test_what_is_skipped_after_an_error_is_no_error_of_its_own() -> None:
    skipped = replace(ended(Result.SKIPPED), detail="nothing is removed after a run with errors")
    assert code_of(skipped, ended(Result.FAILED, QuotaError("full"))) == 3

"""What is shown of the state, in SQLite and in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from meltemi.daemon.api import documents
from meltemi.daemon.state.records import Act, Answer, Cause, Change, Run
from meltemi.daemon.state.rows import act_of, change_of, run_of
from meltemi.daemon.state.state import State
from meltemi.daemon.state.views import Count, Progress, Wanted
from meltemi.model.placement import Observed, Place, Placement

ACT = Act(5.0, "ci", "operator", None, "pause", "route r", "done", "req-1")
WITHIN = {"r": 60.0}
NOW = 1000.0


def placement(image: str, library: str, **facts: Any) -> Placement:
    given = {"observed": Observed.READY, "since": 1.0, "name": f"name of {image}", "owner": "me"}
    return Placement(Place("s", image, library), "r", wanted=True, **{**given, **facts})


PLACEMENTS = (
    placement("a", "t"),
    placement("a", "u", observed=Observed.COPYING, behind=930.0, done=43, total=100),
    placement("b", "t", observed=Observed.FAILED, behind=950.0, detail="full", due=1002.5),
    placement("b", "u", name="name of a", owner="you"),
    placement("c", "t", name=None, owner="you", observed=Observed.FAILED, behind=10.0),
)


@pytest.fixture
async def filled(state: State) -> State:
    await state.lead("one", 60, lambda _: False)
    history = [
        Change(float(n), one.place, "r", True, one.observed, one.name, one.owner)
        for n, one in enumerate(PLACEMENTS)
    ]
    await state.save("one", PLACEMENTS, history=history)
    for number in range(3):
        await state.begin(Run(f"r{number % 2}", Cause.EVENT, ("t",), None, 1.5, "one"))
        await state.note(ACT)
    return state


def told(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [documents.placement(row, NOW, WITHIN) for row in rows]


async def placed(state: State, after: Place | None = None, most: int = 100, **wanted: Any) -> str:
    found = await state.views.placements(Wanted(**wanted), after, most, told)
    return " ".join(one["image"] + one["library"] for one in found)


async def test_placements_by_what_is_wanted(filled: State) -> None:
    assert await placed(filled) == "at au bt bu ct"
    assert await placed(filled, image="a") == "at au"
    assert await placed(filled, library="u", route="r") == "au bu"
    assert await placed(filled, route="other") == ""
    assert await placed(filled, source="t") == ""
    assert await placed(filled, observed="failed") == "bt ct"
    assert await placed(filled, owner="you") == "bu ct"
    assert await placed(filled, late={"r": 940.0}) == "au ct"
    assert await placed(filled, late={"other": 940.0}) == ""
    assert await placed(filled, late={}) == ""
    assert await placed(filled, Place("s", "a", "u"), 2) == "bt bu"
    assert await placed(filled, Place("r", "z", "z"), 1) == "at"


async def test_reasons_are_not_told_to_a_project(filled: State) -> None:
    """They may name what is another's, or the operator's."""
    why = "t: image 0 is there with owner 'another project'"
    failing = replace(PLACEMENTS[2], detail=why)
    change = Change(9.0, failing.place, "r", True, Observed.FAILED, "b", "me", why)
    await filled.save("one", [failing], history=[change])

    def changed(rows: Sequence[Any]) -> list[tuple[str, str]]:
        return [(one.observed, one.detail) for one in (change_of(row._mapping) for row in rows)]

    for owner, detail in ((None, why), ("me", "")):
        wanted = Wanted(owner=owner, image="b", library="t")
        [one] = await filled.views.placements(wanted, None, 9, told)
        status = f"failed: {detail}" if detail else "failed"
        assert (one["detail"], one["status"]) == (detail, status)
        assert (await filled.views.changes(wanted, None, 1, changed)) == [("failed", detail)]


async def test_how_far_behind_is_told(filled: State) -> None:
    _, copying, failed, *_ = await filled.views.placements(Wanted(), None, 100, told)
    assert (copying["status"], copying["behind"], copying["late"]) == ("copying 43 %", 70.0, True)
    assert (failed["status"], failed["behind"], failed["late"]) == ("failed: full", 50.0, False)
    assert failed["due"] == "1970-01-01T00:16:42.500Z"

    def without(rows: Sequence[Any]) -> list[object]:
        return [documents.placement(row, NOW, {})["late"] for row in rows]

    assert await filled.views.placements(Wanted(), None, 2, without) == [None, None]


async def test_images_by_id_or_name(filled: State) -> None:
    views = filled.views
    assert await views.images("a", None) == ["a"]
    assert await views.images("name of a", None) == ["a", "b"]
    assert await views.images("name of a", "me") == ["a"]
    assert await views.images("c", "me") == []
    assert await views.images("nothing", None) == []
    refused = Answer("s", "d", "name of d", "me", "t: not allowed", 1.0)
    gone = Change(9.0, Place("s", "e", "t"), "r", False, Observed.ABSENT, "name of e", "me")
    await filled.answers.save("one", [refused], [])
    await filled.save("one", [], history=[gone])
    for told, image in (("d", "d"), ("name of d", "d"), ("e", "e")):
        assert await views.images(told, "me") == [image]
        assert await views.images(told, "you") == []


async def test_counts(filled: State) -> None:
    assert await filled.views.counts(None, {"r": 940.0}) == [
        Count("r", "t", "failed", 2, 10.0, 1),
        Count("r", "t", "ready", 1, None, 0),
        Count("r", "u", "copying", 1, 930.0, 1),
        Count("r", "u", "ready", 1, None, 0),
    ]
    assert await filled.views.counts("me", {}) == [
        Count("r", "t", "failed", 1, 950.0, 0),
        Count("r", "t", "ready", 1, None, 0),
        Count("r", "u", "copying", 1, 930.0, 0),
    ]


async def test_progress(filled: State) -> None:
    [found] = await filled.views.progress()
    assert found == Progress(Place("s", "a", "u"), "name of a", "me", "r", 43, 100)


async def test_what_has_numbers_is_told_from_the_end(filled: State) -> None:
    views = filled.views

    def changes(rows: Sequence[Any]) -> list[str]:
        return [change_of(row._mapping).place.image for row in rows]

    def runs(rows: Sequence[Any]) -> list[int]:
        return [run_of(row._mapping).id for row in rows]

    def acts(rows: Sequence[Any]) -> list[Act]:
        return [act_of(row._mapping) for row in rows]

    assert await views.changes(Wanted(), None, 3, changes) == ["c", "b", "b"]
    assert await views.changes(Wanted(owner="you"), None, 9, changes) == ["c", "b"]
    assert await views.changes(Wanted(image="a"), None, 9, changes) == ["a", "a"]
    assert await views.runs(None, None, 9, runs) == [3, 2, 1]
    assert await views.runs("r0", 3, 9, runs) == [1]
    latest, *_ = await views.acts(None, 9, acts)
    assert (latest, latest.id) == (replace(ACT, id=3), 3)
    assert [act.id for act in await views.acts(3, 1, acts)] == [2]
    assert await views.first_change() == 1


async def test_acts_are_forgotten_with_the_rest(filled: State) -> None:
    await filled.forget("one", 4.5)
    assert len(await filled.views.acts(None, 9, list)) == 3
    await filled.forget("one", 5.5)
    assert await filled.views.acts(None, 9, list) == []


async def test_changes_are_forgotten_once_they_are_metered(filled: State) -> None:
    first, last = await filled.views.first_change(), await filled.last_change()
    assert first is not None
    await filled.forget("one", 5.5)
    assert await filled.views.first_change() == first
    await filled.usage.meter("one")
    await filled.forget("one", 5.5)
    assert first < last == await filled.views.first_change()

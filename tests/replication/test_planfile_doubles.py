"""Saved plans that ask twice for the same are refused."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meltemi.errors import UsageError
from meltemi.model.address import LibraryAddress
from meltemi.model.image import Image
from meltemi.model.plan import Action, Kind, Plan, Subject
from meltemi.model.route import Limits
from meltemi.replication.planfile import VERSION, Header, PlannedRoute, load_plan, save_plan

COPY = Action(
    Kind.COPY, Subject("r", "source", "one", "a", "name"), "a", "why", "1", "2", image=Image("a")
)
HIDE = replace(COPY, kind=Kind.HIDE, image=None)
ELSEWHERE = replace(COPY.subject, target="two")
OTHERWISE = replace(COPY.subject, route="s")
HEADER = Header(
    VERSION,
    datetime(2026, 1, 1, tzinfo=UTC),
    {name: LibraryAddress(path=Path(f"/{name}")) for name in ("source", "one", "two")},
    {},
    {"r": PlannedRoute(Limits(), 1), "s": PlannedRoute(Limits(), 1)},
)


@pytest.mark.parametrize(
    "again", [COPY, replace(COPY, target_id="b", reason="another"), replace(COPY, image=Image("b"))]
)
def test_a_copy_that_stands_there_twice_is_refused(tmp_path: Path, again: Action) -> None:
    save_plan(tmp_path / "p", HEADER, {"r": Plan((COPY, HIDE, again))})
    with pytest.raises(UsageError, match=r"/p:4: the same to do as in line 2$"):
        load_plan(tmp_path / "p")


def test_a_change_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    save_plan(tmp_path / "p", HEADER, {"r": Plan((HIDE, HIDE))})
    with pytest.raises(UsageError, match=r"/p:3: the same to do as in line 2$"):
        load_plan(tmp_path / "p")


def test_what_is_alike_and_not_the_same_is_taken(tmp_path: Path) -> None:
    plans = {
        "r": Plan(
            (
                COPY,
                HIDE,
                replace(HIDE, target_id="b"),
                replace(COPY, subject=ELSEWHERE),
                replace(HIDE, subject=ELSEWHERE),
            )
        ),
        "s": Plan((replace(COPY, subject=OTHERWISE),)),
    }
    save_plan(tmp_path / "p", HEADER, plans)
    assert load_plan(tmp_path / "p")[1] == plans


def test_an_action_on_no_image_is_refused(tmp_path: Path) -> None:
    save_plan(tmp_path / "p", HEADER, {"r": Plan((replace(COPY, target_id=""),))})
    with pytest.raises(UsageError, match="/p:2: an action without the id of its image"):
        load_plan(tmp_path / "p")

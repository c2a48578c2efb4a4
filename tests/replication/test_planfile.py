"""Saved plans: they read back whole, for their owner only, and errors name the line."""

import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.errors import UsageError
from meltemi.model.address import LibraryAddress
from meltemi.model.image import Hashes, Image, Member
from meltemi.model.plan import Action, Kind, Note, Plan, Standing, Subject
from meltemi.model.provenance import Provenance, Written
from meltemi.model.route import Limits
from meltemi.replication.planfile import VERSION, Header, PlannedRoute, load_plan, save_plan

TEXT = st.text(max_size=8)
TIMES = st.datetimes(timezones=st.just(UTC))
HEADER = Header(
    VERSION,
    datetime(2026, 1, 1, tzinfo=UTC),
    {
        "source": LibraryAddress(cloud="c", region="R", cacert=Path("/ca")),
        "target": LibraryAddress(url="http://h:1", insecure=True),
        "archive": LibraryAddress(path=Path("/a")),
    },
    {"source": "http://x", "target": "http://y"},
    {
        "route": PlannedRoute(Limits(3, ((0, None), (5, 100)), 99), 7),
        "2": PlannedRoute(Limits(), 0),
    },
)
SUBJECTS = st.builds(
    Subject, st.sampled_from(["route", "2"]), st.just("source"), st.just("target"), TEXT,
    st.none() | TEXT,
)  # fmt: skip
VALUES = st.none() | TEXT | st.integers(-5, 2**40) | st.booleans() | st.frozensets(TEXT)
IMAGES = st.builds(
    Image,
    id=TEXT,
    name=st.none() | TEXT,
    size=st.none() | st.integers(0),
    hashes=st.builds(Hashes, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT),
    protected=st.booleans(),
    tags=st.frozensets(TEXT),
    properties=st.dictionaries(TEXT, TEXT),
)
ORIGINS = st.builds(
    Provenance,
    TEXT,
    TEXT,
    TEXT,
    st.builds(Written, st.dictionaries(TEXT, TEXT), st.frozensets(TEXT), st.frozensets(TEXT)),
    TEXT,
    TEXT,
    st.none() | TIMES,
)
ACTIONS = st.builds(
    Action,
    kind=st.sampled_from(Kind),
    subject=SUBJECTS,
    target_id=st.text(min_size=1, max_size=8),
    reason=TEXT,
    source_state=TEXT,
    target_state=TEXT,
    origin=st.none() | ORIGINS,
    image=IMAGES,
    bytes=st.integers(0),
    filling=st.booleans(),
    without_data=st.booleans(),
    set=st.dictionaries(TEXT.filter(lambda name: name != "status"), VALUES),
    remove=st.frozensets(TEXT),
    add=st.lists(st.builds(Member, TEXT, TEXT), max_size=2).map(tuple),
    withdraw=st.lists(TEXT, max_size=2).map(tuple),
    needs=st.lists(TEXT, max_size=2).map(tuple),
)
NOTES = st.builds(Note, SUBJECTS, st.sampled_from(Standing), TEXT)
ACTION = Action(
    Kind.COPY,
    Subject("route", "source", "target", "1", "name"),
    "1",
    "why",
    "a",
    "absent",
    image=Image("1"),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(
    st.lists(ACTIONS, max_size=2, unique_by=lambda action: (action.kind, action.subject.route)),
    st.lists(NOTES, max_size=2),
)
def test_plans_read_back(tmp_path: Path, actions: list[Action], notes: list[Note]) -> None:
    plans = {
        name: Plan(
            tuple(a for a in actions if a.subject.route == name),
            tuple(n for n in notes if n.subject.route == name),
        )
        for name in HEADER.routes
    }
    path = tmp_path / "plan"
    save_plan(path, HEADER, plans)
    header, read = load_plan(path)
    assert header == HEADER
    assert read == plans
    for plan, again in zip(plans.values(), read.values(), strict=True):
        for action, other in zip(plan.actions, again.actions, strict=True):
            types = {name: type(value) for name, value in action.set.items()}
            assert {name: type(value) for name, value in other.set.items()} == types


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_text("open to all")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        save_plan(path, HEADER, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["plan"]


def test_a_plan_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the plan"):
        save_plan(tmp_path / "no" / "plan", HEADER, {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot write the plan"):
        save_plan(tmp_path / "folder", HEADER, {})
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_plan_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the plan"):
        load_plan(tmp_path / "none")


def lines_of(tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "plan"
    save_plan(path, HEADER, {"route": Plan((ACTION,), (Note(ACTION.subject, Standing.BUSY, "x"),))})
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    "change",
    [
        {"meltemi_plan": 2},
        {"meltemi_plan": "1"},
        {"routes": {"route": {"limits": {"transfers": 0}, "max_delete": 1}}},
        {"routes": {"route": {"limits": {"block": 0}, "max_delete": 1}}},
        {"routes": {"route": {"limits": {"bandwidth": [[0, 0]]}, "max_delete": 1}}},
        {"routes": {"route": {"limits": {"bandwidth": [[0, -5]]}, "max_delete": 1}}},
        {"libraries": {"source": {}}},
        {"libraries": {"source": {"cloud": "a", "url": "http://b"}}},
        {"made_at": "yesterday"},
        {"identities": None},
    ],
)
def test_a_header_that_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    header, *rest = lines_of(tmp_path)
    path = tmp_path / "plan"
    path.write_text("\n".join(map(json.dumps, [{**header, **change}, *rest])))
    with pytest.raises(UsageError, match=r"plan:1: "):
        load_plan(path)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"action": {}}',
        '{"action": null, "note": null}',
        '{"note": {"subject": {}}}',
        "[" * 100_000,
        "\ud800",
        '{"action": "\\ud800"}',
        "NaN",
    ],
)
def test_a_line_that_is_none(tmp_path: Path, line: str) -> None:
    header, *rest = map(json.dumps, lines_of(tmp_path))
    path = tmp_path / "plan"
    path.write_bytes("\n".join([header, *rest, line, *rest]).encode(errors="surrogatepass"))
    with pytest.raises(UsageError, match=r"plan:4: ") as caught:
        load_plan(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "destroy"},
        {"image": None},
        {"image": {"name": "no id"}},
        {"bytes": "many"},
        {"set": {"a": [1]}},
        {"set": {"a": 1.5}},
        {"remove": "abc"},
        {"add": [{"status": "x"}]},
        {"subject": {"route": "route"}},
    ],
)
def test_an_action_that_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    header, first, *_ = lines_of(tmp_path)
    path = tmp_path / "plan"
    wrong = {"action": {**first["action"], **change}}
    path.write_text("\n".join(map(json.dumps, [header, first, wrong])))
    with pytest.raises(UsageError, match=r"plan:3: "):
        load_plan(path)


@pytest.mark.parametrize("field", ["route", "source", "target"])
def test_a_line_about_what_the_header_does_not_know(tmp_path: Path, field: str) -> None:
    subject = replace(ACTION.subject, **{field: "unknown"})
    path = tmp_path / "plan"
    save_plan(path, HEADER, {"route": Plan((replace(ACTION, subject=subject),))})
    with pytest.raises(UsageError, match=r"plan:2: "):
        load_plan(path)


@pytest.mark.parametrize("text", ["", "\n", "not a plan\n"])
def test_a_file_that_is_no_plan(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"plan:1: no plan of this version"):
        load_plan(path)

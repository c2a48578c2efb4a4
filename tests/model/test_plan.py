"""Plans: what they sum up, and what counts as a difference."""

import pytest

from meltemi.model.image import Member
from meltemi.model.plan import Action, Kind, Note, Plan, Standing, Subject

SUBJECT = Subject("route", "source", "target", "1", "name")


def action(kind: Kind = Kind.UPDATE, **more: object) -> Action:
    return Action(kind, SUBJECT, "1", "why", "a", "b", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "only"),
    [
        (action(), True),
        (action(set={"a": "1"}), False),
        (action(remove=frozenset("a")), False),
        (action(add=(Member("a"),)), False),
        (action(withdraw=("a",)), False),
        (action(Kind.COPY), False),
        (action(Kind.DELETE), False),
        (action(Kind.HIDE), False),
    ],
)
def test_marks_are_no_difference_to_who_compares(found: Action, only: bool) -> None:
    assert found.only_marks is only
    plan = Plan((found,), in_sync={("route", "target"): 2})
    assert plan.differs
    bare = plan.without_marks()
    assert bare.differs is not only
    assert bare.in_sync == {("route", "target"): 2 + only}


@pytest.mark.parametrize("standing", Standing)
def test_what_is_left_out_is_no_difference(standing: Standing) -> None:
    plan = Plan(notes=(Note(SUBJECT, standing, "why"),))
    assert plan.differs is (standing is not Standing.LEFT_OUT)


def test_bytes_are_summed() -> None:
    assert Plan((action(bytes=5), action(bytes=7), action())).bytes == 12
    assert Plan().bytes == 0


def test_labels() -> None:
    assert SUBJECT.label == "name (1)"
    assert Subject("r", "s", "t", "1", None).label == "1"

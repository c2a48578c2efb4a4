"""What is said of replicas, of a daemon's placements and of what an image says itself."""

from typing import Any

import pytest

from meltemi.openstackclient.replicas import (
    UNANSWERED,
    Prospect,
    Replica,
    answered,
    in_region,
    named,
    replicas_of,
)


def placement(library: str, observed: str, *, wanted: bool = True, **facts: Any) -> dict[str, Any]:
    return {
        "library": library,
        "wanted": wanted,
        "observed": observed,
        "status": observed,
        "since": "2026-03-01T09:14:02.112Z",
        **facts,
    }


def replicas(placements: list[dict[str, Any]], chosen: str = "", status: str = "") -> list[Replica]:
    properties = {"meltemi_regions": chosen, "meltemi_status": status}
    return list(replicas_of("id", "name", properties, placements))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, []),
        (" , ", []),
        ("crete", ["crete"]),
        ("crete, Sparta ,CRETE,naxos,sparta", ["crete", "Sparta", "naxos"]),
    ],
)
def test_regions_are_named_once(text: str | None, names: list[str]) -> None:
    assert named(text) == names


def test_answers_that_found_no_room_are_not_told() -> None:
    text = "crete: ready; Naxos: over the quota of 20.0 GiB; and 12 more"
    assert answered(text) == {"crete": "ready", "Naxos": "over the quota of 20.0 GiB"}
    assert answered(None) == {}


def test_a_daemon_knows_better_than_the_image() -> None:
    [one] = replicas(
        [placement("Crete", "copying", status="copying 43 %")], "crete", "crete: queued"
    )
    assert (one.region, one.status, one.chosen, one.prospect) == (
        *("Crete", "copying 43 %", True),
        Prospect.COMING,
    )
    assert one.since == "2026-03-01T09:14:02.112Z"


def test_why_something_is_not_wanted_is_said_by_the_image() -> None:
    there = placement("Crete", "ready", wanted=False)
    [one] = replicas([there], "crete", "crete: not allowed")
    assert (one.status, one.prospect, one.since) == ("not allowed", Prospect.REFUSED, None)
    [one] = replicas([there])
    assert (one.status, one.prospect) == ("ready, not wanted", Prospect.COMING)


def test_an_operators_replica_and_an_owners_wish() -> None:
    found = replicas([placement("Sparta", "ready")], "naxos")
    assert [(one.region, one.status, one.chosen) for one in found] == [
        ("Sparta", "ready", False),
        ("naxos", UNANSWERED, True),
    ]
    assert [one.region for one in in_region(found, "NAXOS")] == ["naxos"]


@pytest.mark.parametrize(
    ("observed", "prospect"),
    [
        ("ready", Prospect.READY),
        ("stale", Prospect.COMING),
        ("failed", Prospect.COMING),
        ("conflict", Prospect.REFUSED),
    ],
)
def test_what_can_be_expected_of_a_placement(observed: str, prospect: Prospect) -> None:
    assert [one.prospect for one in replicas([placement("Crete", observed)])] == [prospect]


@pytest.mark.parametrize(
    ("answer", "prospect"),
    [
        ("ready", Prospect.READY),
        ("queued", Prospect.COMING),
        ("copying", Prospect.COMING),
        ("updating", Prospect.COMING),
        ("failed, to be tried again", Prospect.COMING),
        ("to be removed", Prospect.COMING),
        ("conflict with another image", Prospect.REFUSED),
        ("not allowed outside eu", Prospect.REFUSED),
        ("needs a credential of yours", Prospect.REFUSED),
        ("over the quota of 20.0 GiB", Prospect.REFUSED),
    ],
)
def test_what_can_be_expected_of_an_answer(answer: str, prospect: Prospect) -> None:
    [one] = replicas([], "crete", f"crete: {answer}")
    assert one.prospect is prospect

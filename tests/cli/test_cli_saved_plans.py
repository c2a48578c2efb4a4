"""Saved plans: one that was made without seeing everything removes nothing; edits are checked."""

import json
from typing import Any

import pytest

from meltemi.errors import AuthenticationError, UnreachableError
from meltemi.model.route import OnSourceDeletion
from tests.cli.in_memory import Command, Damaged, results
from tests.support.memory import MemoryLibrary

DEAD = UnreachableError("crete: nothing listens there", library="crete")


def lines(command: Command) -> list[dict[str, Any]]:
    """Read the saved plan."""
    return [json.loads(line) for line in (command.folder / "saved").read_text().splitlines()]


def rewrite(command: Command, plan: list[dict[str, Any]]) -> None:
    """Write a plan that was edited."""
    (command.folder / "saved").write_text("\n".join(map(json.dumps, plan)))


# Plans that are incomplete


@pytest.mark.parametrize("policy", [OnSourceDeletion.HIDE, OnSourceDeletion.DELETE])
@pytest.mark.parametrize("unseen", ["target unopened", "target unlisted", "another route's source"])
def test_a_plan_that_was_made_without_seeing_everything_removes_nothing(
    command: Command, policy: OnSourceDeletion, unseen: str
) -> None:
    names = ("athens", "crete", "rhodes", "samos", "paros")
    athens, crete, rhodes, samos, _ = map(command.library, names)
    command.configure(
        all={"from": "athens", "to": ["crete", "rhodes"], "on_source_deletion": str(policy)},
        other={"from": "samos", "to": "paros"},
    )
    gone = athens.put(b"gone", name="gone").id
    command.run("sync")
    athens.remove(gone)
    image = athens.put(b"new", name="new").id
    if unseen == "target unlisted":
        crete.fail("list", DEAD)
    else:
        command.libraries["crete" if unseen == "target unopened" else "samos"] = DEAD
    planned = command.run("plan", "--out", "saved", code=6)
    assert (str(policy), gone, "rhodes") in {(r["Action"], r["ID"], r["To"]) for r in planned}
    assert lines(command)[0]["incomplete"] is True

    # That all answer again says nothing about what was not seen.
    command.libraries.update(crete=crete, samos=samos)
    rows = results(command.run("apply", "saved", code=1))
    assert (rows[gone, "rhodes"], rows[image, "rhodes"]) == ("skipped", "done")
    assert rhodes.data(gone) == b"gone"
    assert not rhodes.images[gone].os_hidden

    command.run("plan", "--out", "saved")
    assert lines(command)[0]["incomplete"] is False
    assert results(command.run("apply", "saved"))[gone, "rhodes"] == "done"
    assert gone not in rhodes.images or rhodes.images[gone].os_hidden


def test_apply_removes_nothing_after_an_earlier_route_met_what_had_changed(
    command: Command,
) -> None:
    athens, crete, samos, rhodes = map(command.library, ("athens", "crete", "samos", "rhodes"))
    command.configure(
        first={"from": "athens", "to": "crete"},
        second={"from": "samos", "to": "rhodes", "on_source_deletion": "delete"},
    )
    gone = samos.put(b"gone").id
    command.run("sync")
    samos.remove(gone)
    image = athens.put(b"new").id
    command.run("plan", "--out", "saved")
    athens.edit(image, name="changed")
    rows = command.run("apply", "saved", code=4)
    assert results(rows) == {(image, "crete"): "stale", (gone, "rhodes"): "skipped"}
    assert crete.images == {}
    assert rhodes.data(gone) == b"gone"


def test_apply_carries_out_the_routes_beside_one_whose_source_is_damaged(
    command: Command,
) -> None:
    athens = command.library("athens", Damaged)
    crete, samos, rhodes = map(command.library, ("crete", "samos", "rhodes"))
    command.configure(
        first={"from": "athens", "to": "crete"},
        second={"from": "samos", "to": "rhodes", "on_source_deletion": "delete"},
    )
    gone = samos.put(b"gone", name="gone").id
    command.run("sync")
    samos.remove(gone)
    athens.put(b"altered")
    image = samos.put(b"new", name="new").id
    command.run("plan", "--out", "saved")
    rows = command.run("apply", "saved", code=8)
    [line] = command.errors
    assert "was altered; nothing was loaded" in line
    assert results(rows) == {
        ("", "athens"): "failed",
        (image, "rhodes"): "done",
        (gone, "rhodes"): "skipped",
    }
    assert crete.images == {}
    assert rhodes.data(image) == b"new"
    assert rhodes.data(gone) == b"gone"


def test_a_route_that_cannot_even_be_planned_alone_saves_no_plan(command: Command) -> None:
    athens = command.library("athens")
    command.library("crete")
    command.configure(all={"from": "athens", "to": "crete"})
    athens.fail("list", AuthenticationError("athens: no", library="athens"))
    command.run("plan", "--out", "saved", code=5)
    assert command.errors == ["meltemi: athens: no"]
    assert not (command.folder / "saved").exists()


# Plans that were edited


@pytest.fixture
def update(command: Command) -> dict[str, Any]:
    """Give the one action of a saved plan, an update."""
    athens, crete = command.library("athens"), command.library("crete")
    command.configure(all={"from": "athens", "to": "crete"})
    image = athens.put(b"golden").id
    command.run("sync")
    athens.edit(image, status="deactivated")
    command.run("plan", "--out", "saved")
    [_, line] = lines(command)
    assert line["action"]["set"] == {"status": "deactivated"}
    for library in (athens, crete):
        library.requests.clear()
    action: dict[str, Any] = line["action"]
    return action


@pytest.mark.parametrize(
    "status",
    [
        *("queued", "saving", "importing", "killed", "deleted", "pending_delete"),
        *("Active", "", " active", None, True, 1, ["active"]),
    ],
)
def test_a_status_that_nobody_can_set_is_refused_with_its_line(
    command: Command, update: dict[str, Any], status: object
) -> None:
    [header, line] = lines(command)
    rewrite(command, [header, {**line, "action": {**update, "set": {"status": status}}}])
    assert command.run("apply", "saved", code=2) == []
    assert command.errors == ["meltemi: saved:2: a status that nobody can set"]
    for library in command.libraries.values():
        assert isinstance(library, MemoryLibrary)
        assert library.requests == []


@pytest.mark.parametrize("status", ["active", "deactivated"])
def test_a_status_that_can_be_set_is(command: Command, update: dict[str, Any], status: str) -> None:
    [header, line] = lines(command)
    changed = {"status": status, "name": "edited"}
    rewrite(command, [header, {**line, "action": {**update, "set": changed}}])
    command.run("apply", "saved")
    crete = command.libraries["crete"]
    assert isinstance(crete, MemoryLibrary)
    [image] = crete.images.values()
    assert (image.status, image.name) == (status, "edited")

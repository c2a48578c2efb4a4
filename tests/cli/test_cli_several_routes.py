"""Several routes in one file: one that fails stops no other, and nothing is removed after it."""

from collections.abc import Callable

import pytest

from meltemi.errors import (
    AuthenticationError,
    MeltemiError,
    QuotaError,
    StalePlanError,
    UnreachableError,
)
from tests.cli.in_memory import Command, Damaged, results

DEAD = UnreachableError("athens: nothing listens there", library="athens")


class Routes:
    """`first` goes from athens to crete, then `second` and `third` from samos to others."""

    def __init__(self, command: Command) -> None:
        self.athens, self.crete, self.samos, self.rhodes, self.paros = map(
            command.library, ("athens", "crete", "samos", "rhodes", "paros")
        )
        command.configure(
            first={"from": "athens", "to": "crete"},
            second={"from": "samos", "to": "rhodes", "on_source_deletion": "delete"},
            third={"from": "samos", "to": "paros"},
        )


@pytest.fixture
def routes(command: Command) -> Routes:
    return Routes(command)


def unopened(error: MeltemiError, name: str) -> Callable[[Command, Routes], None]:
    """Let a library not open."""

    def happen(command: Command, _: Routes) -> None:
        command.libraries[name] = error

    return happen


def unlisted(_: Command, routes: Routes) -> None:
    routes.athens.fail("list", DEAD, times=2)


def one_place(_: Command, routes: Routes) -> None:
    routes.crete.identity = routes.athens.identity


def damaged(command: Command, _: Routes) -> None:
    command.library("athens", Damaged).put(b"altered")


WHOLE = [
    (unopened(DEAD, "athens"), 6, "athens: nothing listens there"),
    (unopened(AuthenticationError("athens: no", library="athens"), "athens"), 5, "athens: no"),
    (unopened(UnreachableError("crete: gone", library="crete"), "crete"), 6, "crete: gone"),
    (unlisted, 6, "athens: nothing listens there"),
    (one_place, 2, "the same library"),
    (damaged, 8, "was altered; nothing was loaded"),
]
IDS = ["source dead", "source refuses", "target dead", "unlisted", "one place", "damaged"]


@pytest.mark.parametrize(("happen", "code", "said"), WHOLE, ids=IDS)
def test_the_other_routes_are_carried_out(
    command: Command,
    routes: Routes,
    happen: Callable[[Command, Routes], None],
    code: int,
    said: str,
) -> None:
    routes.athens.put(b"first")
    image = routes.samos.put(b"second").id
    happen(command, routes)
    rows = command.run("sync", code=code)
    [line] = command.errors
    assert said in line
    [failed] = [row for row in rows if row["Result"] == "failed"]
    assert said in failed["Detail"]
    done = [row for row in rows if row is not failed]
    assert results(done) == {(image, "rhodes"): "done", (image, "paros"): "done"}
    assert routes.rhodes.data(image) == routes.paros.data(image) == b"second"


@pytest.mark.parametrize(("happen", "code", "said"), WHOLE[:-1], ids=IDS[:-1])
def test_the_other_routes_are_planned(
    command: Command,
    routes: Routes,
    happen: Callable[[Command, Routes], None],
    code: int,
    said: str,
) -> None:
    routes.athens.put(b"first")
    image = routes.samos.put(b"second").id
    happen(command, routes)
    for words in (("plan",), ("sync", "--dry-run")):
        rows = command.run(*words, code=code)
        [line] = command.errors
        assert said in line
        copies = [(row["ID"], row["To"]) for row in rows if row["Action"] == "copy"]
        assert copies == [(image, "rhodes"), (image, "paros")]
    assert routes.rhodes.images == routes.paros.images == {}


def test_an_image_that_fails_fails_no_other_route(command: Command, routes: Routes) -> None:
    full = routes.athens.put(b"first").id
    image = routes.samos.put(b"second").id
    routes.crete.fail("upload", QuotaError("crete: full"))
    assert results(command.run("sync", code=3)) == {
        (full, "crete"): "failed",
        (image, "rhodes"): "done",
        (image, "paros"): "done",
    }
    assert command.errors == []


def test_a_route_that_fails_as_a_whole_outweighs_images_that_fail(
    command: Command, routes: Routes
) -> None:
    routes.athens.put(b"first")
    routes.crete.fail("upload", QuotaError("crete: full"))
    command.libraries["samos"] = AuthenticationError("samos: no", library="samos")
    command.run("sync", code=5)
    assert command.errors == ["meltemi: samos: no"] * 2, "once for each route"


@pytest.mark.parametrize(("happen", "code"), [one[:2] for one in WHOLE], ids=IDS)
def test_nothing_is_removed_after_an_earlier_route_failed(
    command: Command, routes: Routes, happen: Callable[[Command, Routes], None], code: int
) -> None:
    gone = routes.samos.put(b"gone").id
    command.run("sync")
    routes.samos.remove(gone)
    routes.athens.put(b"first")
    happen(command, routes)
    rows = [row for row in command.run("sync", code=code) if row["ID"] == gone]
    assert [(row["Action"], row["Result"]) for row in rows] == [("delete", "skipped")]
    assert "after a run with errors" in rows[0]["Detail"]
    assert routes.rhodes.data(gone) == b"gone"


@pytest.mark.parametrize(
    ("error", "code"), [(QuotaError("crete: full"), 3), (StalePlanError("crete: changed"), 4)]
)
def test_nothing_is_removed_after_an_image_of_an_earlier_route_failed(
    command: Command, routes: Routes, error: MeltemiError, code: int
) -> None:
    gone = routes.samos.put(b"gone").id
    command.run("sync")
    routes.samos.remove(gone)
    bad = routes.athens.put(b"first").id
    routes.crete.fail("upload", error)
    rows = results(command.run("sync", code=code))
    assert rows[gone, "rhodes"] == "skipped"
    assert rows[bad, "crete"] == ("stale" if code == 4 else "failed")
    assert routes.rhodes.data(gone) == b"gone"
    command.run("sync")
    assert gone not in routes.rhodes.images


def test_a_route_that_fails_keeps_no_earlier_one_from_removing(
    command: Command, routes: Routes
) -> None:
    gone = routes.samos.put(b"gone").id
    command.run("sync")
    routes.samos.remove(gone)
    command.libraries["paros"] = UnreachableError("paros: gone", library="paros")
    rows = command.run("sync", code=6)
    assert results(rows)[gone, "rhodes"] == "done"
    assert gone not in routes.rhodes.images
    assert routes.paros.data(gone) == b"gone"

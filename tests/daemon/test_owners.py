"""What is to be answered to owners, and how it is written: without a service."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from meltemi.daemon.board import Board
from meltemi.daemon.owners import Asked, Heard, Owners
from meltemi.daemon.scribe import Scribe
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Answer, Cause, Request
from meltemi.errors import ForbiddenError
from meltemi.libraries.base import Library
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential
from meltemi.model.image import STATUS, Image
from meltemi.model.placement import Observed, Place, Placement
from meltemi.model.plan import Action, Kind, Subject
from meltemi.model.route import ANY, Allowance, Choosing, Policy, Route
from meltemi.model.task import IMPORT_TASK
from meltemi.replication.choosing import UNKNOWN, Wish
from meltemi.replication.guard import judged
from meltemi.replication.report import Outcome, Result
from tests.support.memory import MemoryLibrary

HERE = Asked("s", "i")


def route(name: str, *targets: str, owned: tuple[str, ...] = (), **policy: Any) -> Route:
    """Let everybody choose from targets."""
    choosing = Choosing(
        names={target: target for target in targets},
        projects={ANY: Allowance(frozenset(targets))},
        owned=frozenset(owned),
    )
    return Route(name, "s", targets, policy=Policy(**policy), choosing=choosing)


def placement(
    library: str, observed: Observed, *, wanted: bool = True, by: str = "one"
) -> Placement:
    return Placement(Place("s", "i", library), by, wanted, observed, since=0.0, owner="p")


def owners(
    *placements: Placement,
    known: tuple[Answer, ...] = (),
    accounts: Mapping[str, str] | None = None,
) -> Owners:
    board = Board(placements, lambda: 1.0)
    has = dict(accounts or {})
    return Owners(board, known, lambda owner, library: has.get(library) == owner, lambda: 1.0)


def hear(the: Owners, which: Route, *wishes: Wish, status: str = "") -> None:
    the.hear(which, {"i": Heard("image", "p", status, wishes)})


def told(the: Owners) -> str:
    the.take_changes()
    return the.answer(HERE)


@pytest.mark.parametrize(
    ("observed", "word"),
    [
        (Observed.QUEUED, "queued"),
        (Observed.COPYING, "copying"),
        (Observed.VERIFYING, "copying"),
        (Observed.READY, "ready"),
        (Observed.STALE, "updating"),
        (Observed.FAILED, "failed, to be tried again"),
        (Observed.CONFLICT, "conflict with another image"),
    ],
)
def test_each_observation_has_a_word(observed: Observed, word: str) -> None:
    # What was under way when a daemon begins to lead is queued again.
    started = {Observed.COPYING, Observed.VERIFYING}
    the, only = owners(placement("crete", observed)), route("one", "crete")
    the.take([only])
    hear(the, only, Wish("Crete", "crete"))
    assert told(the) == f"Crete: {'queued' if observed in started else word}"


def test_of_several_routes_the_one_answers_that_knows_the_region() -> None:
    one, two = route("one", "crete"), route("two", "mars")
    the = owners(placement("mars", Observed.READY, by="two"))
    the.take([one, two])
    hear(the, one, Wish("mars", None, UNKNOWN), Wish("venus", None, UNKNOWN))
    # The other one has not been looked at yet.
    assert told(the) == "mars: queued; venus: unknown region"
    hear(the, two, Wish("mars", "mars"), Wish("venus", None, UNKNOWN))
    assert told(the) == "mars: ready; venus: unknown region"
    hear(the, two, Wish("mars", "mars", "not allowed"), Wish("venus", None, UNKNOWN))
    assert told(the) == "mars: not allowed; venus: unknown region"


def test_what_a_route_without_choice_carries_is_told_as_it_is() -> None:
    the = owners(placement("crete", Observed.READY, by="golden"))
    only = route("one", "crete", "sparta")
    the.take([only])
    the.refuse(Place("s", "i", "crete"), "left out by the operator's rules")
    hear(the, only, Wish("crete", "crete"), Wish("sparta", "sparta", "not allowed"))
    assert told(the) == "crete: ready; sparta: not allowed"


def test_what_is_withdrawn_is_told_until_it_is_gone() -> None:
    board = Board([placement("crete", Observed.READY, wanted=False)], lambda: 1.0)
    the, only = Owners(board, (), lambda _, __: False, lambda: 1.0), route("one", "crete")
    the.take([only])
    hear(the, only, status="crete: ready")
    assert told(the) == "crete: to be removed"
    assert list(the.unsaid) == [HERE]
    board.give_up(Place("s", "i", "crete"))
    board.drop([])
    the.touch([Place("s", "i", "crete")])
    assert told(the) == ""
    assert list(the.unsaid) == [HERE]
    the.said(HERE, "")
    assert not the.unsaid


def test_who_withdraws_too_many_at_once_is_told() -> None:
    board = Board([placement("crete", Observed.READY, wanted=False)], lambda: 1.0)
    the, only = Owners(board, (), lambda _, __: False, lambda: 1.0), route("one", "crete")
    the.take([only])
    hear(the, only, status="crete: ready")
    subject = Subject("one", "s", "crete", "i", "image")
    removal = Action(
        Kind.DELETE, subject, "i", "", "there", "there", withdrawn=True, withdrawn_by="p"
    )
    [(_, guard)] = judged([removal], max_delete=0)
    board.finished(Outcome(removal, Result.SKIPPED, str(guard), "i", error=guard), run=1)
    assert told(the) == "crete: held back: too many at once"


def test_what_another_route_keeps_is_not_told_of() -> None:
    the = owners(placement("crete", Observed.READY, wanted=False, by="golden"))
    only = route("one", "crete")
    the.take([only])
    hear(the, only, status="crete: ready")
    assert told(the) == ""


def test_answers_of_images_that_are_gone_are_forgotten() -> None:
    stale = Answer("s", "old", None, "p", "crete: ready", 0.0)
    elsewhere = Answer("another", "old", None, "p", "crete: ready", 0.0)
    the, only = owners(known=(stale, elsewhere)), route("one", "crete")
    the.take([only])
    assert the.take_changes() == ([], [Asked("another", "old")])
    hear(the, only, Wish("crete", "crete"))
    kept, forgotten = the.take_changes()
    assert [answer.image for answer in kept] == ["i"]
    assert forgotten == [Asked("s", "old")]
    the.put_back(kept, forgotten)
    assert the.take_changes() == (kept, forgotten)


def test_who_writes_over_his_answer_again_and_again_waits_for_the_others() -> None:
    the, only = owners(), route("one", "crete")
    the.take([only])
    busy, patient = Asked("s", "busy"), Asked("s", "patient")
    wish = Wish("mars", None, UNKNOWN)

    def hear_of(image: str, status: str) -> None:
        the.hear(only, {image: Heard("image", "p", status, (wish,))}, {image})
        the.take_changes()

    hear_of("busy", "")
    hear_of("patient", "")
    assert list(the.unsaid) == [busy, patient]
    hear_of("busy", "mars: ready")
    assert list(the.unsaid) == [busy, patient]
    the.said(busy, the.answer(busy))
    hear_of("busy", "mars: ready")
    assert list(the.unsaid) == [patient, busy]


def test_an_answer_is_of_whoever_owns_the_image_now() -> None:
    the, only = owners(), route("one", "crete")
    the.take([only])
    wishes = (Wish("mars", None, UNKNOWN),)
    the.hear(only, {"i": Heard("image", "p", "", wishes)})
    [first], _ = the.take_changes()
    the.hear(only, {"i": Heard("image", "q", "", wishes)})
    [second], _ = the.take_changes()
    assert (first.owner, second.owner) == ("p", "q")
    assert (second.text, second.at) == (first.text, first.at)


def test_a_refusal_is_told_until_it_is_lifted() -> None:
    the, only = owners(placement("crete", Observed.READY)), route("one", "crete")
    the.take([only])
    hear(the, only, Wish("crete", "crete"))
    the.refuse(Place("s", "i", "crete"), "over the quota of 1 B")
    assert told(the) == "crete: over the quota of 1 B"
    the.refuse(Place("s", "i", "crete"), None)
    assert told(the) == "crete: ready"


def test_an_account_that_is_missing_or_refused_is_told() -> None:
    only = route("one", "mars", owned=("mars",))
    for accounts, word in (({}, "needs a credential of yours"), ({"mars": "p"}, "queued")):
        the = owners(accounts=accounts)
        the.take([only])
        hear(the, only, Wish("mars", "mars"))
        assert told(the) == f"mars: {word}"
    the.disturb("mars", "p", refused=True)
    the.touch_all("s")
    assert told(the) == "mars: your credential is refused there"
    the.disturb("mars", "p", refused=False)
    the.touch_all("s")
    assert told(the) == "mars: queued"


class Source:
    """A source whose one image asks for crete, and who writes on it."""

    def __init__(self, only: Route | None = None, **attributes: Any) -> None:
        self.library = MemoryLibrary("s")
        self.image = self.library.put(id="i", **attributes)
        self.owners = owners(placement("crete", Observed.READY))
        routes = [only or route("one", "crete")]
        self.owners.take(routes)

        async def open_(_: str, __: LibraryAddress, ___: Credential | None) -> Library:
            return self.library

        def nobody(_: str, __: str) -> Credential:
            raise AssertionError("no owner has an account here")

        shelf = Shelf({"s": LibraryAddress(url="http://s")}, open_, nobody)
        self.scribe = Scribe(shelf, self.owners)
        self.scribe.take(routes)
        hear(self.owners, routes[0], Wish("crete", "crete"))
        self.owners.take_changes()

    async def write(self) -> None:
        """Let what is due be written."""
        self.scribe.start()
        await asyncio.gather(*self.scribe._busy.values())

    async def hears(self, image: str = "i") -> bool:
        """Say whether an event of an image is answered."""
        answered: list[Request] = []
        request = Request(Cause.EVENT, time.time(), source="s", image=image)
        self.scribe.judge(request, answered.append)
        await asyncio.gather(*self.scribe._judging)
        return answered == [request]

    @property
    def now(self) -> Image:
        """Give the image as it is."""
        return self.library.images["i"]


async def test_an_answer_is_written_once() -> None:
    source = Source()
    await source.write()
    assert source.now.properties[STATUS] == "crete: ready"
    await source.write()
    assert source.library.count("update") == 1


@pytest.mark.parametrize(
    "attributes",
    [{"status": "queued"}, {"status": "saving"}, {"properties": {IMPORT_TASK: "a task"}}],
)
async def test_an_image_that_is_filled_is_left_alone(attributes: dict[str, Any]) -> None:
    source = Source(**attributes)
    await source.write()
    assert source.library.count("show") == 1
    assert source.library.count("update") == 0
    assert list(source.owners.unsaid) == [HERE]


async def test_a_source_that_refuses_is_remembered() -> None:
    source = Source()
    source.library.fail("update", ForbiddenError("s: 403"))
    await source.write()
    [answer], _ = source.owners.take_changes()
    assert "does not let the daemon write" in answer.problem
    await source.write()
    assert source.library.count("update") == 1


async def test_an_event_of_our_own_writing_is_no_news() -> None:
    source = Source()
    assert await source.hears()
    await source.write()
    assert not await source.hears()
    assert await source.hears("another")
    source.library.edit("i", name="renamed")
    assert await source.hears()


async def test_an_event_of_a_new_member_is_news() -> None:
    source = Source(route("one", "crete", members=True), visibility="shared")
    await source.write()
    assert not await source.hears()
    source.library.share("i", somebody="pending")
    assert await source.hears()


async def test_an_event_is_answered_where_the_source_cannot_be_asked() -> None:
    source = Source()
    await source.write()
    source.library.fail("show", ForbiddenError("s: 403"))
    assert await source.hears()

"""What goes wrong between an image that borrows and its peer: never false, and well afterwards."""

from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import pytest
import yaml

from lab import Region
from tests.region.borrowing import BATCH, CHILD, GRANDCHILD, PARENT, Pair, peers
from tests.support.builds import KIB, MIB
from tests.support.exchanging import Exchange
from tests.support.glance import Place, RefusedError
from tests.support.proxy import Fault, Proxy
from tests.support.waiting import eventually

CLONING = "POST", "/actions/clone$"
MANIFEST = "GET", "/manifest$"
ASKED = Fault(*MANIFEST, times=1)
"""The first manifest is asked for with the user's token; it passes."""


def child(pair: Pair) -> str:
    """Give a snapshot that borrows."""
    return pair.snapshot(pair.home.put("golden", PARENT))


def refused(pair: Pair, image: str) -> str:
    """Read an image; give what is said in place of it."""
    with pytest.raises(RefusedError) as caught:
        pair.here.data(image)
    assert caught.value.status == 503
    return str(caught.value)


def test_a_peer_that_is_away_and_comes_back(tmp_path: Path) -> None:
    with (
        Region(tmp_path / "home") as home,
        Proxy(home.url) as way,
        Region(tmp_path / "here", settings=peers(way)) as server,
    ):
        pair = Pair(Place(home.url), server, way)
        image = child(pair)
        home.kill()
        assert "is away" in refused(pair, image)
        with pytest.raises(RefusedError, match="503"):
            Exchange(pair.here).batch(image, [[MIB, 9]])
        home.start()
        assert pair.here.data(image) == CHILD


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", BATCH, answer=503),
        Fault("POST", BATCH, cut_answer=-1),
        Fault("POST", BATCH, cut_answer=1000),
        Fault("POST", BATCH, alter=50),
        Fault("POST", BATCH, alter=30_000),
        Fault("POST", BATCH, answer=200, body="no batch"),
        Fault("POST", BATCH, answer=403),
    ],
    ids=["503", "cut", "cut in the midst", "altered", "altered data", "no batch", "403"],
)
def test_a_peer_that_does_not_give_what_it_has(pair: Pair, fault: Fault) -> None:
    image = child(pair)
    pair.way.fault(fault)
    assert "is away" in refused(pair, image)
    fault.times = 0
    assert pair.here.data(image) == CHILD


@pytest.mark.parametrize(
    "fault", [Fault("POST", BATCH, cut_answer=9), Fault("POST", BATCH, alter=9)]
)
def test_what_goes_wrong_once_is_not_noticed(pair: Pair, fault: Fault) -> None:
    image = child(pair)
    fault.times = 1
    pair.way.fault(fault)
    assert pair.here.data(image) == CHILD
    assert fault.times == 0


def test_a_peer_that_goes_away_in_the_midst(pair: Pair) -> None:
    image = child(pair)
    pair.way.fault(Fault("POST", BATCH, times=1), Fault("POST", BATCH, answer=503))
    with closing(HTTPConnection("127.0.0.1", pair.here.port, timeout=120)) as connection:
        connection.request("GET", f"/v2/images/{image}/file")
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises(IncompleteRead) as caught:
            answer.read()
    come = caught.value.partial
    assert come
    assert CHILD.startswith(come)
    pair.way.fault()
    assert pair.here.data(image) == CHILD


def test_a_peer_that_is_away_when_a_snapshot_is_uploaded(pair: Pair) -> None:
    parent = pair.home.put("golden", PARENT)
    pair.way.fault(Fault("GET", "", answer=503))
    image = pair.here.put("snapshot", CHILD, base_image_ref=parent)
    eventually(lambda: bool(pair.way.requests))
    pair.way.fault()
    assert pair.here.data(image) == CHILD
    assert not pair.holds(image)


@pytest.mark.parametrize("what", [CLONING, MANIFEST])
def test_a_peer_that_fails_while_it_is_compared(pair: Pair, what: tuple[str, str]) -> None:
    parent = pair.home.put("golden", PARENT)
    fault = Fault(*what, times=1, answer=503)
    pair.way.fault(replace(ASKED), fault)
    image = pair.snapshot(parent)
    assert fault.times == 0
    assert pair.here.data(image) == CHILD
    assert len(pair.holds(image)) == 1


def test_a_region_that_is_killed_while_it_compares(lone: Pair) -> None:
    parent = lone.home.put("golden", PARENT)
    lone.way.fault(replace(ASKED), Fault(*MANIFEST, hang=True))
    image = lone.here.put("snapshot", CHILD, base_image_ref=parent)
    lone.way.wait_for(*MANIFEST, hanging=True)
    lone.home.delete(parent)
    lone.server.kill()
    lone.way.fault()
    lone.server.start()
    assert lone.here.data(image) == CHILD
    lone.wait_for_loan(image)
    assert len(lone.holds(image)) == 1
    assert lone.here.data(image) == CHILD


def test_a_parent_that_is_deleted_before_it_is_held(pair: Pair) -> None:
    parent = pair.home.put("golden", PARENT)
    gone = Fault(*CLONING, before=lambda: pair.home.delete(parent))
    pair.way.fault(gone)
    image = pair.here.put("snapshot", CHILD, base_image_ref=parent)
    eventually(lambda: bool(pair.way.of("PATCH", "")))
    assert pair.here.data(image) == CHILD
    assert pair.loan(image) is None


def test_a_parent_that_begins_to_borrow_itself(lone: Pair, tmp_path: Path) -> None:
    """What was lent of it while it was whole can be read for ever."""
    parent = lone.home.put("golden", PARENT)
    images: list[str] = []
    with Proxy(lone.here.url) as way, Region(tmp_path / "there", settings=peers(way)) as server:
        third = Pair(lone.here, server, way)

        def lend() -> None:
            images.append(third.snapshot(images[0], GRANDCHILD))

        lone.way.fault(Fault(*CLONING, times=1, before=lend))
        images.append(lone.waiting(parent))
        lone.here.upload(images[0], CHILD)
        lone.wait_for_loan(images[0])
        eventually(lambda: lone.stored() < 1000 * KIB)
        way.requests.clear()
        assert third.here.data(images[1]) == GRANDCHILD
        assert way.of("POST", BATCH)


def test_a_snapshot_that_is_deleted_while_it_is_compared(pair: Pair) -> None:
    parent = pair.home.put("golden", PARENT)
    way = Place(pair.here.url)
    images: list[str] = []
    gone = Fault(*MANIFEST, times=1, before=lambda: way.delete(images[0]))
    pair.way.fault(replace(ASKED), gone)
    images.append(image := pair.waiting(parent))
    pair.here.upload(image, CHILD)
    eventually(lambda: bool(pair.way.of("DELETE", "")))
    eventually(lambda: not pair.holds(image))


def test_a_hold_that_cannot_be_given_up_yet(pair: Pair) -> None:
    image = child(pair)
    fault = Fault("PATCH", "", times=1, answer=503)
    pair.way.fault(fault)
    pair.here.delete(image)
    eventually(lambda: not pair.holds(image))
    assert fault.times == 0


def test_a_hold_that_is_gone(pair: Pair) -> None:
    image = child(pair)
    [hold] = pair.holds(image)
    pair.home.change(hold, protected=False)
    pair.home.delete(hold)
    assert "is away" in refused(pair, image)
    pair.here.delete(image)
    eventually(lambda: bool(pair.way.of("PATCH", hold)))


def test_a_peer_that_is_not_named_any_more(lone: Pair) -> None:
    image = child(lone)
    settings = lone.server.config.read_text()
    without = {key: one for key, one in yaml.safe_load(settings).items() if key != "peers"}
    for text in (yaml.safe_dump(without), settings):
        lone.server.stop()
        lone.server.config.write_text(text)
        lone.server.start()
        if text != settings:
            refused(lone, image)
    assert lone.here.data(image) == CHILD

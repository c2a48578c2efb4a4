"""Quotas of projects by a real Keystone's limits, in a region, and in a Glance beside it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from lab import Glance, Keystone, Region
from lab import limits as unified
from tests.support.exchanging import Exchange, Line, delta
from tests.support.glance import Json, Place, RefusedError, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually
from tests.support.websites import Website

pytestmark = pytest.mark.services

REGION = "RegionOne"
MIB = 2**20
PATCH = "application/openstack-images-v2.1-json-patch"
LIMITS = {
    "image_count_total": 10,
    "image_count_uploading": 5,
    "image_size_total": 3,
    "image_stage_total": 3,
}
_numbers = count()


class Person:
    """Somebody with a project of their own, at one of the services."""

    def __init__(self, keystone: Keystone, place: Place, role: str = "member") -> None:
        self._keystone = keystone
        name = f"person-{next(_numbers)}"
        keystone.user(name, keystone.password, name, [role])
        self.project = keystone.project(name)
        self.token = keystone.token(name, keystone.password, name)
        self.place = place.seen_by(self.token)

    def grant(self, **limits: int) -> None:
        """Give them limits of their own."""
        unified.grant(self._keystone, REGION, self.project, limits)

    def usage(self) -> dict[str, tuple[int, int]]:
        """Give what they are told: of each resource, the usage and the limit."""
        told: Json = self.place.call("GET", "/v2/info/usage")["usage"]
        return {name: (one["usage"], one["limit"]) for name, one in told.items()}


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    with Keystone(tmp_path_factory.mktemp("keystone")) as server:
        server.region(REGION)
        yield server


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with Website() as made:
        yield made


@pytest.fixture(scope="module")
def places(
    keystone: Keystone, site: Website, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Place]]:
    """Give a Glance and a region with the same limits."""
    settings = {
        "keystone": {"auth": unified.account(keystone), "limits_region": REGION},
        "web_download": {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]},
        "show_multiple_locations": True,
    }
    glance = Glance(
        tmp_path_factory.mktemp("glance"), keystone=keystone, region=REGION, limits=LIMITS
    )
    region = Region(tmp_path_factory.mktemp("region"), settings=settings)
    with ExitStack() as stack:
        yield {
            "glance": Place(stack.enter_context(glance).url),
            "region": Place(stack.enter_context(region).url),
        }


@pytest.fixture
def place(places: dict[str, Place]) -> Place:
    return places["region"]


@pytest.fixture
def person(keystone: Keystone, place: Place) -> Person:
    return Person(keystone, place)


def refused(ask: Callable[[], object], status: int = 413) -> str:
    """See that something is refused, and give what is said."""
    with pytest.raises(RefusedError) as caught:
        ask()
    assert caught.value.status == status
    return str(caught.value)


@pytest.mark.parametrize("name", ["glance", "region"])
def test_two_uploads_at_once_may_together_go_beyond(
    keystone: Keystone, places: dict[str, Place], name: str
) -> None:
    """Limits are soft, here as there: it is the next upload that is refused."""
    person = Person(keystone, places[name])
    data = some_data(1, 2 * MIB)
    one, two, three = (person.place.put(None, None) for _ in range(3))
    with ExitStack() as stack:
        uploads = []
        for image in (one, two):
            upload = Upload(person.place, image, len(data))
            uploads.append(stack.enter_context(upload))
            upload.send(data[:MIB])
            person.place.wait_for(image, "saving")
        for upload in uploads:
            upload.send(data[MIB:])
            assert upload.status() == 204
    assert person.place.data(one) == person.place.data(two) == data
    assert person.usage()["image_size_total"] == (4, 3)
    assert "due to current usage 4 and delta 0" in refused(lambda: person.place.upload(three, b"x"))
    assert person.place.show(three)["status"] == "queued"
    person.place.delete(one)
    person.place.upload(three, b"x")


def test_parts_count_as_what_is_staged_and_a_delta_as_an_upload(person: Person) -> None:
    exchange = Exchange(person.place)
    data = [some_data(number, MIB // 4) for number in range(13)]
    image, other = (person.place.put(None, None) for _ in range(2))
    exchange.put_part(image, 0, data[:4])
    exchange.put_part(image, 1, data[4:8])
    assert person.usage()["image_stage_total"] == (2, 3)
    told = refused(lambda: exchange.put_part(other, 2, data[:8]))
    assert "due to current usage 2 and delta 2" in told
    exchange.put_part(other, 2, data[8:12])
    assert person.usage()["image_stage_total"] == (3, 3)
    four: list[Line] = [[MIB, "p", 0, 0]] * 4
    told = refused(lambda: exchange.put(image, delta(4 * MIB, [], four)))
    assert "due to current usage 0 and delta 4" in told
    assert exchange.parts(image).keys() == {0, 1}
    exchange.put(image, delta(2 * MIB, [], [[MIB, "p", 0, 0], [MIB, "p", 1, 0]]))
    assert person.usage()["image_stage_total"] == (1, 3)
    assert person.usage()["image_size_total"] == (2, 3)
    whole: list[Line] = [[2 * MIB, "i", 0, 0]]
    told = refused(lambda: exchange.put(other, delta(2 * MIB, [image], whole)))
    assert "due to current usage 2 and delta 2" in told
    person.place.delete(other)
    assert person.usage()["image_stage_total"] == (0, 3)


@pytest.mark.parametrize("name", ["glance", "region"])
def test_of_uploads_at_once_no_more_than_allowed_go_on(
    keystone: Keystone, places: dict[str, Place], name: str
) -> None:
    person = Person(keystone, places[name])
    person.grant(image_count_uploading=1)
    one, two = (person.place.put(None, None) for _ in range(2))
    with Upload(person.place, one, 5) as slow:
        slow.send(b"da")
        person.place.wait_for(one, "saving")
        told = refused(lambda: person.place.upload(two, b"x"))
        assert "image_count_uploading is over limit of 1 due to current usage 2" in told
        person.place.wait_for(two, "queued")
        slow.send(b"ta.")
        assert slow.status() == 204
    person.place.upload(two, b"x")
    assert person.usage()["image_count_uploading"] == (0, 1)


def test_a_clone_counts(person: Person) -> None:
    person.grant(image_count_total=3, image_size_total=4)
    image = person.place.put("image", some_data(2, 2 * MIB))

    def clone() -> str:
        made: Json = person.place.call("POST", f"/v2/images/{image}/actions/clone", {})
        return str(made["id"])

    made = clone()
    assert person.usage()["image_size_total"] == (4, 4)
    assert "image_size_total is over limit of 4 due to current usage 4 and delta 2" in refused(
        clone
    )
    person.place.delete(made)
    clone()
    person.place.put("third", None)
    assert "image_count_total is over limit of 3 due to current usage 3" in refused(clone)


def test_data_that_is_shared_by_its_location_counts(person: Person) -> None:
    person.grant(image_size_total=3)
    image = person.place.put("image", some_data(4, 2 * MIB))
    [location] = person.place.show(image)["locations"]
    other = person.place.put("other", None)
    value = {"url": location["url"], "metadata": {}}
    change = [{"op": "add", "path": "/locations/-", "value": value}]

    def share() -> None:
        body = json.dumps(change).encode()
        person.place.request("PATCH", f"/v2/images/{other}", body, PATCH)

    assert "image_size_total is over limit of 3 due to current usage 2 and delta 2" in refused(
        share
    )
    assert person.place.show(other)["status"] == "queued"
    person.grant(image_size_total=4)
    eventually(lambda: _done(share))
    assert person.usage()["image_size_total"] == (4, 4)


def _done(ask: Callable[[], object]) -> bool:
    """Say whether something is let through by now: limits are remembered for some seconds."""
    try:
        ask()
    except RefusedError:
        return False
    return True


def test_one_project_does_not_learn_what_another_has(keystone: Keystone, place: Place) -> None:
    owner, other = (Person(keystone, place) for _ in range(2))
    owner.grant(image_size_total=2)
    data = some_data(3, 2 * MIB)
    shared = owner.place.put("shared", data, visibility="shared")
    owner.place.share(shared, other.project, "pending")
    other.place.call("PUT", f"/v2/images/{shared}/members/{other.project}", {"status": "accepted"})
    queued = owner.place.put("queued", None, visibility="community")
    nothing = dict.fromkeys(LIMITS, 0)
    told = {name: (0, limit) for name, limit in LIMITS.items()}
    assert {name: usage for name, (usage, _) in other.usage().items()} == nothing
    assert other.usage() == told
    for path in (f"?project_id={owner.project}", f"?tenant={owner.project}"):
        answer = other.place.call("GET", f"/v2/info/usage{path}")["usage"]
        assert {name: one["usage"] for name, one in answer.items()} == nothing
    # Where the owner's quota is used up, others are refused as ever; and the other way round.
    assert "usage 2 and delta 1" in refused(lambda: owner.place.upload(queued, data[:MIB]))
    assert "limit" not in refused(lambda: other.place.upload(queued, data[:MIB]), 403)
    # The same data counts in full, whether others have it or not.
    other.place.put("same", data)
    assert other.usage()["image_size_total"] == (2, 3)
    assert owner.usage()["image_size_total"] == (2, 2)


def test_a_limit_that_is_changed_holds_a_moment_later(person: Person) -> None:
    images = [person.place.put(None, None) for _ in range(2)]
    person.grant(image_count_total=2)
    eventually(lambda: person.usage()["image_count_total"] == (2, 2))
    refused(lambda: person.place.put(None, None))
    person.place.delete(images[0])
    person.place.put(None, None)
    person.grant(image_count_total=-1)
    eventually(lambda: person.usage()["image_count_total"] == (2, -1))
    person.place.put(None, None)


def test_an_import_of_old_counts(keystone: Keystone, place: Place, site: Website) -> None:
    person = Person(keystone, place, role="admin")
    site.put("/data", b"data")
    person.grant(image_count_total=1, image_count_uploading=0)
    given = {
        "import_from": f"{site.url}/data",
        "import_from_format": "raw",
        "image_properties": {"disk_format": "raw", "container_format": "bare"},
    }

    def message() -> str:
        task = person.place.call("POST", "/v2/tasks", {"type": "import", "input": given})

        def now() -> Json:
            shown: Json = person.place.call("GET", task["self"])
            return shown

        eventually(lambda: now()["status"] in ("success", "failure"))
        return f"{now()['status']}: {now()['message']}"

    told = message()
    assert told.startswith("failure: ")
    assert "image_count_uploading is over limit of 0 due to current usage 1" in told
    own = [image for image in person.place.images() if image["owner"] == person.project]
    assert [image["status"] for image in own] == ["queued"]
    assert "image_count_total is over limit of 1 due to current usage 1" in message()
    assert len(site.asked) == 0


def ready(place: Place) -> Json:
    try:
        with urllib.request.urlopen(f"{place.url}/readyz", timeout=60) as answer:
            found: Json = json.load(answer)
    except urllib.error.HTTPError as answer:
        with closing(answer):
            found = json.load(answer)
    return found


def test_while_keystone_is_away_nothing_is_let_in_that_has_a_limit(tmp_path: Path) -> None:
    with Keystone(tmp_path / "keystone") as keystone:
        keystone.region(REGION)
        unified.register(keystone, REGION, LIMITS)
        validating = {"auth": unified.account(keystone), "limits_region": REGION}
        settings = {"keystone": {**validating, "token_cache_time": "1h"}}
        with Region(tmp_path / "region", settings=settings) as server:
            person = Person(keystone, Place(server.url))
            place = person.place
            image, queued = place.put("image", b"data"), place.put("queued", None)
            assert ready(place)["keystone"] == "ok"
            keystone.stop()

            def is_away() -> bool:
                """Say whether they are not known any more: they are remembered for a while."""
                try:
                    place.call("GET", "/v2/info/usage")
                except RefusedError as error:
                    return error.status == 503
                return False

            eventually(is_away)
            assert ready(place)["keystone"] == "away"
            refused(lambda: place.put("more", None), 503)
            refused(lambda: place.upload(queued, b"x"), 503)
            refused(lambda: place.call("POST", f"/v2/images/{image}/actions/clone", {}), 503)
            assert place.data(image) == b"data"
            place.change(queued, name="changed")
            assert place.show(queued)["status"] == "queued"
            keystone.start()
            eventually(lambda: ready(place)["keystone"] == "ok")
            place.upload(queued, b"x")
            place.delete(image)


def test_limits_that_cannot_be_held_to_let_nobody_in(tmp_path: Path) -> None:
    config = {"unified_limit": {"enforcement_model": "strict_two_level"}}
    with Keystone(tmp_path / "keystone", config=config) as keystone:
        keystone.region(REGION)
        unified.register(keystone, REGION, LIMITS)
        settings = {"keystone": {"auth": unified.account(keystone), "limits_region": REGION}}
        with Region(tmp_path / "region", settings=settings) as server:
            person = Person(keystone, Place(server.url))
            assert "two_level" not in refused(lambda: person.place.put("image", None), 503)
            assert ready(person.place)["keystone"] == "away"
            assert person.place.images() == []
    assert "Keystone's limits are of the model strict_two_level" in server.log.read_text()

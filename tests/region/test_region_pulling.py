"""Images that a region pulls from another by pieces, as their user asks both."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab import Cloud, Region
from lab.cloud import MEMBER, PROJECT
from meltemi.chunks.blob import ROOT, name_blob
from meltemi.keys import SigningKey
from tests.support.binding import HEADER, LIE, facts, md5, signed
from tests.support.builds import BUILD, GOLDEN, KIB, MIB, disk
from tests.support.exchanging import Exchange
from tests.support.glance import Json, Place, RefusedError, Service, some_data
from tests.support.proxy import Fault, Proxy
from tests.support.waiting import eventually
from tests.support.websites import Website

pytestmark = pytest.mark.services

NOISE = some_data(70, 12 * MIB)
"""What does not compress: its bytes can be counted."""

BATCHES = "/batch$"
UNKNOWN = "0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """Give the key of a region that is trusted; it is neither of the two."""
    return SigningKey.create(tmp_path_factory.mktemp("keys") / "key.pem")


@pytest.fixture(scope="module")
def servers(
    cloud: Cloud, key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Region, Region]]:
    keystone = cloud.keystone
    auth = keystone.login()
    settings = {"keystone": {"auth": auth}, "import_methods": ["glance-download"]}
    folder = tmp_path_factory.mktemp("regions")
    with ExitStack() as stack:
        trusting = {**settings, "trusted_regions": {"Samos": key.public}}
        one = Region(folder / "athens", name="athens", settings=settings)
        two = Region(folder / "crete", name="crete", settings=trusting)
        yield stack.enter_context(one), stack.enter_context(two)


@pytest.fixture(scope="module")
def way(cloud: Cloud, servers: tuple[Region, Region]) -> Iterator[Proxy]:
    """Give the way to the source that the catalogue names, which counts what passes."""
    with Proxy(servers[0].url) as proxy:
        cloud.keystone.endpoint("image", "Athens", proxy.url)
        yield proxy


@pytest.fixture
def athens(way: Proxy, servers: tuple[Region, Region]) -> Proxy:
    """Give the way to the source, in order again."""
    way.fault()
    servers[0].start()
    way.requests.clear()
    return way


@pytest.fixture(scope="module")
def token(cloud: Cloud) -> str:
    return cloud.keystone.token(MEMBER, cloud.keystone.password, PROJECT)


@pytest.fixture(scope="module")
def source(servers: tuple[Region, Region], token: str) -> Place:
    return Place(servers[0].url, token=token)


@pytest.fixture(scope="module")
def crete(servers: tuple[Region, Region], token: str) -> Place:
    return Place(servers[1].url, token=token)


@pytest.fixture(scope="module")
def admins(cloud: Cloud, servers: tuple[Region, Region]) -> tuple[Place, Place]:
    """Give both regions as an administrator has them."""
    keystone = cloud.keystone
    token = keystone.token(keystone.admin, keystone.password, "admin")
    return Place(servers[0].url, token=token), Place(servers[1].url, token=token)


def begin(place: Place, image: str, other: str, **more: Any) -> None:
    """Begin to pull an image."""
    method = {"name": "glance-download", "glance_region": "Athens", "glance_image_id": other}
    place.call("POST", f"/v2/images/{image}/import", {"method": {**method, **more}})


def task(place: Place, image: str) -> Json:
    latest: Json = place.call("GET", f"/v2/images/{image}/tasks")["tasks"][-1]
    return latest


def ended(place: Place, image: str) -> Json:
    eventually(lambda: task(place, image)["status"] in ("success", "failure"))
    return task(place, image)


def pull(place: Place, other: str, image: str = "", **more: Any) -> str:
    """Pull an image, to its end; give its id here."""
    image = image or place.put("image", None)
    begin(place, image, other, **more)
    found = ended(place, image)
    assert found["status"] == "success", found["message"]
    return image


def failing(place: Place, image: str, other: str, **more: Any) -> str:
    """Pull an image in vain; give the words."""
    begin(place, image, other, **more)
    found = ended(place, image)
    assert found["status"] == "failure"
    assert place.show(image)["status"] == "queued"
    message: str = found["message"]
    return message


def moved(proxy: Proxy) -> int:
    """Give the bytes of all bodies that passed."""
    return sum(request.sent + request.answered for request in proxy.requests)


def small_batches(source: Place, *then: Fault) -> tuple[Fault, ...]:
    """Make batches of a MiB, so that there are many."""
    facts = source.call("GET", "/v2/info/exchange")["exchange"]
    told = json.dumps({"exchange": {**facts, "largest_batch": MIB}})
    return Fault("GET", "/info/exchange$", answer=200, body=told), *then


def must_have(place: Place, image: str, data: bytes) -> None:
    shown = place.show(image)
    assert (shown["status"], shown["size"]) == ("active", len(data))
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert place.hash(image) == hashlib.sha256(data).hexdigest()


def test_what_is_new_comes_and_nothing_else(athens: Proxy, source: Place, crete: Place) -> None:
    golden = source.put("golden", GOLDEN, os_distro="debian")
    base = pull(crete, golden)
    must_have(crete, base, GOLDEN)
    assert crete.show(base)["os_distro"] == "debian"
    assert moved(athens) < 6 * MIB
    athens.requests.clear()

    build = source.put("build", BUILD)
    image = pull(crete, build, bases=[base])
    must_have(crete, image, BUILD)
    assert moved(athens) < 1200 * KIB
    assert not athens.of("GET", "/file$")
    assert task(crete, image)["input"]["import_req"]["method"]["bases"] == [base]
    athens.requests.clear()

    again = pull(crete, build, bases=[base, image])
    must_have(crete, again, BUILD)
    assert not athens.of("POST", "")
    crete.delete(base)
    must_have(crete, again, BUILD)


def test_nothing_and_zeros(athens: Proxy, source: Place, crete: Place) -> None:
    for data in (b"", bytes(3 * MIB + 1)):
        must_have(crete, pull(crete, source.put("image", data)), data)
    assert not athens.of("POST", BATCHES)


def test_an_import_that_is_repeated_fetches_only_what_had_not_come(
    athens: Proxy, servers: tuple[Region, Region], source: Place, crete: Place
) -> None:
    other = source.put("noise", NOISE)
    image = crete.put("image", None)
    killing = Fault("POST", BATCHES, times=1, before=servers[0].kill)
    athens.fault(*small_batches(source, Fault("POST", BATCHES, times=4), killing))
    assert "the connection broke" in failing(crete, image, other)
    kept = sum(Exchange(crete).parts(image).values())
    assert kept > MIB, "two batches of a MiB have come before the fifth is asked for"
    servers[0].start()
    athens.requests.clear()
    athens.fault()
    pull(crete, other, image)
    must_have(crete, image, NOISE)
    assert moved(athens) < len(NOISE) - kept + 64 * KIB


def test_a_network_that_cuts_every_connection(athens: Proxy, source: Place, crete: Place) -> None:
    """Batches become small enough to get through, and little is sent twice."""
    other = source.put("noise", NOISE)
    athens.fault(*(Fault(method, "", cut_answer=MIB) for method in ("GET", "POST")))
    must_have(crete, pull(crete, other), NOISE)
    assert not athens.of("GET", "/file$")
    assert moved(athens) < 2 * len(NOISE)


def test_a_source_image_that_is_deleted_meanwhile(
    athens: Proxy, source: Place, crete: Place
) -> None:
    """What has come is not lost for what is made of the image."""
    other = source.put("noise", NOISE)
    image = crete.put("image", None)
    delete = Fault("POST", BATCHES, times=1, before=lambda: source.delete(other))
    athens.fault(*small_batches(source, Fault("POST", BATCHES, times=4), delete))
    assert "404 Not Found" in failing(crete, image, other)
    kept = sum(Exchange(crete).parts(image).values())
    assert kept > MIB
    athens.requests.clear()
    athens.fault()
    child = source.put("child", NOISE + b"more")
    must_have(crete, pull(crete, child, image), NOISE + b"more")
    assert moved(athens) < len(NOISE) - kept + 1200 * KIB


def test_a_base_that_is_deleted_meanwhile(athens: Proxy, source: Place, crete: Place) -> None:
    """It is read to its end: by who compares, and by who puts the image together."""
    # Its manifest has more than a root; three files took the place of as many.
    before, after = (
        disk(range(300, 600), 80),
        [*range(300, 450), *range(700, 703), *range(453, 600)],
    )
    data = disk(after, 80)
    other = source.put("build", data)
    for path in ("/segments$", BATCHES):
        base = crete.put("golden", before)
        athens.requests.clear()
        athens.fault(
            Fault("POST", path, times=1, before=lambda base=base: crete.delete(base))  # type: ignore[misc]  # binds the loop's base
        )
        must_have(crete, pull(crete, other, bases=[base]), data)
        assert not crete.has(base)
        assert moved(athens) < 3 * MIB


def test_what_is_altered_on_its_way(athens: Proxy, source: Place, crete: Place) -> None:
    other = source.put("noise", NOISE)
    athens.fault(*small_batches(source, Fault("POST", BATCHES, times=3, alter=1000)))
    must_have(crete, pull(crete, other), NOISE)
    image = crete.put("image", None)
    for method, what, words in (
        ("POST", BATCHES, "pieces of it: not a batch"),
        ("GET", "/manifest$", "the answer was altered on its way"),
    ):
        athens.fault(Fault(method, what, alter=30))
        assert words in failing(crete, image, other)
        assert Exchange(crete).parts(image) == {}


def test_data_that_is_not_what_was_recorded(athens: Proxy, source: Place, crete: Place) -> None:
    """Each piece is what the manifest says, but the manifest is that of another image."""
    other = source.put("noise", NOISE)
    lie = {**source.show(other), "os_hash_value": "0" * 128}
    athens.fault(Fault("GET", f"/v2/images/{other}$", answer=200, body=json.dumps(lie)))
    image = crete.put("image", None)
    assert "does not have the hash" in failing(crete, image, other)
    assert Exchange(crete).parts(image) == {}, "they may be what is wrong"


def test_bases_that_may_not_be_read(
    athens: Proxy, source: Place, crete: Place, admins: tuple[Place, Place]
) -> None:
    other = source.put("noise", NOISE)
    image = crete.put("image", None)
    private, away = (admins[1].put("secret", NOISE, visibility="private") for _ in range(2))
    mine, queued = crete.put("mine", NOISE), crete.put("queued", None)
    admins[1].act(mine, "deactivate")
    admins[1].delete(away)

    def refused(bases: object) -> tuple[int, str]:
        with pytest.raises(RefusedError) as caught:
            begin(crete, image, other, bases=bases)
        return caught.value.status, str(caught.value)

    told = {refused([one])[1].replace(one, "…") for one in (private, away, UNKNOWN)}
    assert len(told) == 1
    assert "404" in told.pop()
    assert refused([mine])[0] == 403
    assert refused([queued])[0] == 409
    wrongs: tuple[object, ...] = ("x", [1], ["x"], {}, None, [UNKNOWN.upper()], [image] * 17)
    for wrong in wrongs:
        assert refused(wrong)[0] == 400
    assert crete.show(image)["status"] == "queued"
    assert athens.requests == []


def test_a_base_that_may_not_be_read_any_more(
    athens: Proxy, source: Place, crete: Place, admins: tuple[Place, Place]
) -> None:
    """It is not taken from, once the import is under way: all is fetched."""
    other = source.put("noise", NOISE)
    base = crete.put("base", NOISE)
    late = Fault(
        "GET", f"/v2/images/{other}$", times=1, before=lambda: admins[1].act(base, "deactivate")
    )
    athens.fault(late)
    must_have(crete, pull(crete, other, bases=[base]), NOISE)
    assert moved(athens) > len(NOISE)


def test_an_image_that_is_withheld(
    athens: Proxy, source: Place, crete: Place, admins: tuple[Place, Place]
) -> None:
    other = source.put("noise", NOISE)
    image = crete.put("image", None)
    admins[0].act(other, "deactivate")
    assert "active instead of deactivated" in failing(crete, image, other)
    admins[0].act(other, "reactivate")
    late = Fault("POST", BATCHES, times=1, before=lambda: admins[0].act(other, "deactivate"))
    athens.fault(*small_batches(source, Fault("POST", BATCHES, times=4), late))
    assert "403 Forbidden" in failing(crete, image, other)
    admins[0].act(other, "reactivate")
    must_have(crete, pull(crete, other, image), NOISE)


def test_who_sends_elsewhere_is_not_followed(source: Place, crete: Place, cloud: Cloud) -> None:
    """There, the user's token would be shown to anybody."""
    other = source.put("noise", NOISE)
    image = f"/v2/images/{other}"
    with Website() as site, Website() as thief:
        cloud.keystone.endpoint("image", "Odd", site.url)
        for sent_on in ("/v2/info/exchange", f"{image}/manifest", f"{image}/batch"):
            mimic(site, source, other)
            for path in (sent_on, f"{image}/file"):
                site.put(path, status=302, headers={"Location": thief.put(path, b"x")})
            words = failing(crete, crete.put("image", None), other, glance_region="Odd")
            assert "302 Found" in words
            assert sent_on in {path for path, _ in site.asked}
        assert thief.asked == []


def mimic(
    site: Website, place: Place, image: str, binding: str | None = None, **told: object
) -> None:
    """Answer as a region does that has an image, up to its pieces; `told` is said of it instead."""
    path, json_type = f"/v2/images/{image}", {"Content-Type": "application/json"}
    manifest = place.request("GET", f"{path}/manifest")
    headers = {"ETag": f'"{name_blob(ROOT, manifest).hex()}"', HEADER: binding or ""}
    site.put(path, json.dumps({**place.show(image), **told}).encode(), headers=json_type)
    terms = place.request("GET", "/v2/info/exchange")
    site.put("/v2/info/exchange", terms, headers=json_type)
    site.put(f"{path}/manifest", manifest, headers=headers)


def test_what_is_vouched_for_is_not_hashed(
    crete: Place, cloud: Cloud, key: SigningKey, tmp_path: Path
) -> None:
    """By whom is trusted: even a lie is believed. Anybody else might have said nothing."""
    base = crete.put("base", NOISE)
    said = facts(crete, base)
    strange = signed(SigningKey.create(tmp_path / "key.pem"), said)
    with Website() as site:
        cloud.keystone.endpoint("image", "Samos", site.url)

        def pulled() -> str:
            checksum: str = crete.show(pull(crete, base, glance_region="Samos", bases=[base]))[
                "checksum"
            ]
            return checksum

        mimic(site, crete, base, signed(key, said), checksum=LIE)
        assert pulled() == LIE
        mimic(site, crete, base, strange)
        assert pulled() == md5(NOISE)
        mimic(site, crete, base, strange, checksum=LIE)
        image = crete.put("image", None)
        told = failing(crete, image, base, glance_region="Samos", bases=[base])
        assert "does not have the hash" in told
        assert not any(path.endswith("batch") for path, _ in site.asked)


def test_who_does_not_exchange_sends_the_whole(
    athens: Proxy, source: Place, crete: Place, cloud: Cloud, token: str
) -> None:
    base = crete.put("base", NOISE)
    other = source.put("noise", NOISE)
    facts = source.call("GET", "/v2/info/exchange")["exchange"]
    answers: tuple[Json, ...] = ({"exchange": {**facts, "cut": "no"}}, {"exchange": []}, {})
    for told in answers:
        athens.fault(Fault("GET", "/info/exchange$", answer=200, body=json.dumps(told)))
        must_have(crete, pull(crete, other, bases=[base]), NOISE)
    athens.fault(Fault("GET", "/manifest$", answer=409))
    must_have(crete, pull(crete, other, bases=[base]), NOISE)
    assert len(athens.of("GET", "/file$")) == 4
    assert not athens.of("POST", "")
    glance = Service(cloud.regions["RegionOne"], cloud.postgres, token=token)
    stock = glance.put("noise", NOISE)
    must_have(crete, pull(crete, stock, glance_region="RegionOne", bases=[base]), NOISE)

"""A region in front of a real Glance, from the first look at it to standing alone, or back."""

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.region.adopting import Adopting, damage, data_of, seen
from tests.support.cli import meltemi, running
from tests.support.glance import Place, RefusedError, Service, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually
from tests.support.websites import Website

pytestmark = pytest.mark.services

DATA = some_data(21, 6 * 2**20 + 7)
PROJECT, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def region(source: Service, tmp_path: Path) -> Iterator[Adopting]:
    """Give a region that is to adopt the source; nothing is begun yet."""
    shown = {"show_image_direct_url": True, "show_multiple_locations": True}
    server = Adopting(tmp_path / "region", source.url, settings={"workers": 2, **shown})
    yield server
    server.stop()


def furnish(glance: Service) -> dict[str, str]:
    """Put images of all kinds into a Glance; give their ids."""
    signed = {"img_signature": "c2lnbmVk", "img_signature_hash_method": "SHA-256"}
    many = {f"property_{number:03d}": "x" * number for number in range(120)}
    ids = {
        "plain": glance.put("plain", DATA, visibility="public", tags=["b", "a"]),
        "named": glance.put("Ein „Name“ \N{SNOWMAN}", some_data(22), owner=PROJECT),
        "nameless": glance.put(None, some_data(23)),
        "empty": glance.put("empty", b""),
        "signed": glance.put("signed", some_data(24), **signed, min_ram=512, min_disk=3),
        "many": glance.put("many", some_data(25), **many),
        "protected": glance.put("protected", some_data(26), protected=True),
        "hidden": glance.put("hidden", some_data(27), os_hidden=True, visibility="community"),
        "deactivated": glance.put("deactivated", some_data(28)),
        "queued": glance.put("queued", None),
        "killed": glance.put("killed", None),
        "kernel": glance.put("kernel", b"kernel", disk_format="aki", container_format="aki"),
        "shared": glance.put("shared", some_data(29), visibility="shared", owner=PROJECT),
        "old": glance.put("old", some_data(30)),
        "bare": glance.put("bare", some_data(31)),
        "other": glance.put("other", some_data(32)),
        "overfull": glance.put("overfull", some_data(33)),
    }
    glance.act(ids["deactivated"], "deactivate")
    glance.share(ids["shared"], OTHER, "accepted")
    glance.share(ids["shared"], "c" * 32)

    def set_(name: str, what: str) -> None:
        glance.sql(f"UPDATE images SET {what} WHERE id = '{ids[name]}'")

    none = "os_hash_algo = NULL, os_hash_value = NULL"
    set_("killed", "status = 'killed'")
    set_("old", f"{none}, created_at = '2014-01-02 03:04:05', updated_at = '2015-01-02 03:04:05'")
    set_("bare", f"{none}, checksum = NULL")
    digest = hashlib.sha256(some_data(32)).hexdigest()
    set_("other", f"os_hash_algo = 'sha256', os_hash_value = '{digest}'")
    glance.sql(
        "INSERT INTO image_properties (image_id, name, value, created_at, deleted) SELECT "
        f"'{ids['overfull']}', 'p' || n, 'v' || n, now(), false FROM generate_series(1, 1000) AS n"
    )
    return ids


def not_whole(place: Place, image: str, headers: dict[str, str] | None = None) -> None:
    """See that whoever asks for an image's data does not get it as if it were good."""
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=120)) as connection:
        connection.request("GET", f"/v2/images/{image}/file", headers=headers or {})
        try:
            response = connection.getresponse()
            response.read()
        except (http.client.IncompleteRead, ConnectionError):
            return
    assert response.status == 502


def places_of(place: Place, image: str) -> tuple[object, ...]:
    """Give where a region says that an image's data lies."""
    shown = place.show(image)
    return shown["stores"], shown.get("direct_url"), shown["locations"]


def located(data: str) -> tuple[object, ...]:
    """Give where data lies that is called so."""
    url = f"meltemi://chunks/{data}"
    return "chunks", url, [{"url": url, "metadata": {"store": "chunks"}}]


def test_from_the_first_look_to_standing_alone(source: Service, region: Adopting) -> None:
    ids = furnish(source)
    with_data = data_of(source)
    done = region.adopt("start", "-f", "json")
    assert json.loads(done.out) == [
        {
            "Glance": source.url,
            "Images": len(ids) - 1,  # Glance does not list what is killed
            "With data": len(with_data),
            "Size": sum(map(len, with_data.values())),
        }
    ]
    region.start()
    expected = seen(source)
    assert seen(region.place) == expected
    assert data_of(region.place) == with_data
    assert seen(region.place) == expected
    assert {name: places_of(region.place, ids[name]) for name in ("bare", "old", "other")} == {
        "bare": ("chunks", None, []),
        "old": ("chunks", None, []),
        "other": located(f"sha256/{hashlib.sha256(some_data(32)).hexdigest()}"),
    }
    region.wait_until_filled()
    status = region.status()
    assert (status["Stage"], status["Images"]) == ("running", len(expected))
    assert (status["Here"], status["Without hash"], status["Failed"]) == (len(with_data), 1, 0)
    assert status["Size"] == status["Size here"]
    assert seen(source) == expected
    region.finish()
    source.server.stop()
    for name in ("old", "bare"):
        digest = hashlib.sha512(with_data[ids[name]]).hexdigest()
        expected[ids[name]] |= {"os_hash_algo": "sha512", "os_hash_value": digest}
        assert places_of(region.place, ids[name]) == located(f"sha512/{digest}")
    checksum = hashlib.md5(with_data[ids["bare"]]).hexdigest()
    expected[ids["bare"]]["checksum"] = checksum
    assert seen(region.place) == expected
    assert data_of(region.place) == with_data
    place = region.place
    own = place.put("own", DATA)
    place.change(ids["plain"], name="renamed")
    place.delete(ids["nameless"])
    place.upload(ids["queued"], some_data(34))
    place.call("PUT", f"/v2/images/{ids['shared']}/members/{'c' * 32}", {"status": "rejected"})
    copy = place.call("POST", f"/v2/images/{ids['plain']}/actions/clone", {"name": "copy"})["id"]
    region.stop()
    region.start()
    assert place.data(own) == place.data(copy) == DATA
    assert place.data(ids["queued"]) == some_data(34)
    assert place.members(ids["shared"]) == {OTHER: "accepted", "c" * 32: "rejected"}
    assert place.show(ids["plain"])["name"] == "renamed"
    assert not place.has(ids["nameless"])
    status = region.status()
    assert (status["code"], status["Stage"], status["Images"]) == (0, "finished", None)


def work(place: Place, ids: dict[str, str]) -> set[str]:
    """Do what users do; give the ids of images that have new data."""
    made = place.put("made", DATA, visibility="shared", tags=["t"], **{"with/slash~": "ü"})
    assert (place.show(made)["status"], place.data(made)) == ("active", DATA)
    place.put("still queued", None)
    given = place.put("given", some_data(40), id="11111111-2222-4333-8444-555555555555")
    place.change(ids["plain"], name="renamed", own="x", tags=["new"])
    place.change(ids["many"], remove=("property_000", "property_001"))
    place.request("PUT", f"/v2/images/{ids['named']}/tags/caf%C3%A9")
    place.act(ids["signed"], "deactivate")
    place.act(ids["deactivated"], "reactivate")
    place.share(made, OTHER, "accepted")
    place.unshare(ids["shared"], OTHER)
    place.delete(ids["nameless"])
    place.change(ids["protected"], protected=False)
    place.delete(ids["protected"])
    place.upload(ids["queued"], some_data(41))
    return {made, given, ids["queued"]}


def test_what_users_do_is_in_the_glance(source: Service, region: Adopting) -> None:
    ids = furnish(source)
    region.adopt("start")
    region.start()
    place = region.place
    new = work(place, ids)
    with pytest.raises(RefusedError, match="404"):
        place.delete(ids["nameless"])
    with pytest.raises(RefusedError, match="409"):
        place.put("twice", None, id=ids["nameless"])
    with pytest.raises(RefusedError, match="409"):
        place.upload(ids["plain"], DATA)
    patch = "application/openstack-images-v2.1-json-patch"
    with pytest.raises(RefusedError, match="413"):
        place.request("PATCH", f"/v2/images/{ids['plain']}", b"[" + b" " * 2**21 + b"]", patch)
    with pytest.raises(RefusedError, match="415"):
        place.request("PATCH", f"/v2/images/{ids['plain']}", b"[]", "text/plain")
    odd = ("/v2/./images", "/v2/images/../images", f"/v2/./images/{ids['plain']}")
    for path in ("/v2/nothing", f"/v2/images/{ids['plain']}/nothing", *odd):
        with pytest.raises(RefusedError, match="404"):
            place.call("GET", path)
    with pytest.raises(RefusedError, match=r"409(?s:.*)cannot be cloned before"):
        place.call("POST", f"/v2/images/{ids['plain']}/actions/clone", {})
    for path in ("/v2/info/import", "/v2/info/stores", "/v2/schemas/image"):
        assert place.call("GET", path) == source.call("GET", path)
    with_data = data_of(place)
    before = seen(place)
    assert before == seen(source)
    region.wait_until_filled()
    assert "is only here" not in region.adopt("rollback").err
    assert seen(source) == before
    assert data_of(source) == with_data
    assert new <= with_data.keys()
    eventually(lambda: _refuses(place, "503"))
    region.adopt("status", code=3)
    region.stop()
    region.adopt("start")  # and again, from the beginning
    region.start()
    assert seen(place) == before
    region.finish()
    assert data_of(place) == with_data


def _refuses(place: Place, words: str) -> bool:
    try:
        place.images()
    except RefusedError as error:
        return words in str(error)
    return False


def test_where_an_image_is_found(source: Service, region: Adopting) -> None:
    """Addresses in an answer of the Glance are those of the region."""
    region.adopt("start")
    region.start()
    with closing(http.client.HTTPConnection("127.0.0.1", region.port, timeout=120)) as connection:
        connection.request("POST", "/v2/images", "{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        image = json.loads(answer.read())["id"]
    assert (answer.status, answer.headers["Location"]) == (201, f"{region.url}/v2/images/{image}")
    assert source.has(image)


def test_nothing_is_passed_on_to_anybody_else(region: Adopting) -> None:
    region.adopt("start")
    region.start()
    with Website() as elsewhere:
        host = elsewhere.url.removeprefix("http://")
        for target in (f"{elsewhere.url}/v2/info/stores", f"//{host}/v2/info/stores"):
            region.place.request("GET", target)
        with pytest.raises(RefusedError):
            region.place.request("GET", f"@{host}/v2/info/stores")
        assert elsewhere.asked == []


def test_what_changes_in_the_glance_itself(source: Service, region: Adopting) -> None:
    ids = furnish(source)
    region.adopt("start")
    region.start()
    region.wait_until_filled()
    late = source.put("late", some_data(50))
    assert region.place.show(late)["name"] == "late"  # it is looked for where it is asked for
    listed = source.put("listed", some_data(51))
    source.change(ids["plain"], name="renamed")
    source.unshare(ids["shared"], OTHER)
    source.delete(ids["signed"])
    source.act(ids["deactivated"], "reactivate")
    digest = hashlib.sha512(some_data(52, len(DATA))).hexdigest()
    (source.server.store / ids["plain"]).write_bytes(some_data(52, len(DATA)))
    source.sql(f"UPDATE images SET os_hash_value = '{digest}' WHERE id = '{ids['plain']}'")
    region.adopt("start")
    assert seen(region.place) == seen(source)
    assert region.place.data(ids["plain"]) == some_data(52, len(DATA))
    assert region.place.data(listed) == some_data(51)
    assert region.place.show(ids["killed"])["status"] == "killed"


def test_a_region_follows_by_itself(source: Service, region: Adopting) -> None:
    region.adopt("start")
    region.start()
    listed = source.put("listed", some_data(51))
    eventually(lambda: listed in region.place.statuses())


def test_altered_data_is_never_whole_and_never_its_own(source: Service, region: Adopting) -> None:
    ids = furnish(source)
    large, small = ids["plain"], ids["old"]
    expected = data_of(source)
    damage(source, large)
    damage(source, small)
    region.adopt("start")
    region.start()
    place = region.place
    for image in (large, small):
        not_whole(place, image)
        not_whole(place, image, {"Range": "bytes=0-9"})
        not_whole(place, image, {"Range": "bytes=-1"})
    eventually(lambda: region.status()["Failed"] == 2)
    eventually(lambda: region.status()["Here"] == len(expected) - 2)
    status = region.status()
    assert status["code"] == 3
    assert (
        f"image plain ({large}): image {large}: the data that the Glance gives has not the "
        in (status["told"])
    )
    refused = region.adopt("finish", code=3)
    assert "2 images are not here" in refused.err
    assert f"({small})" in refused.err
    assert "no such image is adopted" in region.adopt("finish", "--without", "x", code=2).err
    (source.server.store / small).write_bytes(expected[small])  # the operator mends one
    assert place.data(small) == expected[small]
    region.finish("--without", large)
    assert not place.has(large)
    del expected[large]
    assert data_of(place) == expected
    place.put("brought by hand", DATA, id=large)
    assert place.data(large) == DATA


def test_a_glance_that_is_away_for_a_while(source: Service, region: Adopting) -> None:
    ids = furnish(source)
    expected, described = data_of(source), seen(source)
    region.adopt("start")
    source.server.stop()
    region.start()
    place = region.place
    assert seen(place) == described
    with pytest.raises(RefusedError, match=r"503(?s:.*)cannot be had(?s:.*)try again later"):
        place.data(ids["plain"])
    for change in (
        lambda: place.put("new", None),
        lambda: place.change(ids["plain"], name="new"),
        lambda: place.delete(ids["plain"]),
        lambda: place.upload(ids["queued"], b"x"),
    ):
        with pytest.raises(RefusedError, match=r"503(?s:.*)nothing can be changed"):
            change()
    assert region.adopt("start", code=6).complaint
    eventually(lambda: "Cannot connect" in region.status()["told"])
    source.server.start()
    region.wait_until_filled()
    assert data_of(place) == expected
    source.server.stop()
    assert data_of(place) == expected  # it is here now
    assert region.adopt("finish", code=6).complaint
    place.show(ids["plain"])
    assert region.status()["Stage"] == "running"


def test_nobody_changes_anything_while_it_is_finished(source: Service, region: Adopting) -> None:
    furnish(source)
    region.adopt("start")
    region.start()
    region.wait_until_filled()
    place = region.place
    queued = place.put("on its way", None)
    with Upload(place, queued, len(DATA)) as upload:
        upload.send(DATA[: 2**20])
        source.wait_for(queued, "saving")
        left = ("--without", queued)  # a comparison may have seen it on its way
        with running("adopt", "finish", *left, "--config", region.config) as finishing:
            eventually(lambda: region.status()["Stage"] == "finishing")
            with pytest.raises(RefusedError, match=r"503(?s:.*)for a moment"):
                place.put("too late", None)
            assert place.images()
            upload.send(DATA[2**20 :])
            assert upload.status() == 204
            if finishing.wait().code:  # it does not wait for ever
                region.finish(*left)
    assert region.status()["Stage"] == "finished"
    assert source.data(queued) == DATA
    assert not place.has(queued)
    place.put("early enough", None)
    assert not source.find("early enough")


def test_a_region_serves_only_what_is_begun(source: Service, region: Adopting) -> None:
    told = meltemi("serve", "--config", region.config, "--workers", "1", code=2).complaint
    assert "run meltemi adopt start" in told
    region.adopt("start")
    other = Adopting(region.folder, source.url.replace("127.0.0.1", "localhost"))
    alone = region.folder / "alone.yaml"
    alone.write_text(f"version: 1\ndata: {region.folder / 'data'}\nport: 0\n")
    for settings in (other.config, alone):
        told = meltemi("serve", "--config", settings, "--workers", "1", code=2).complaint
        assert f"it has to be {source.url}" in told
    assert "adopts another Glance" in other.adopt("start", code=3).complaint


def test_a_region_that_has_images_or_is_served_adopts_nothing(
    source: Service, tmp_path: Path
) -> None:
    adopting = Adopting(tmp_path / "region", source.url)
    alone = tmp_path / "alone.yaml"
    alone.write_text(f"version: 1\ndata: {adopting.folder / 'data'}\nport: {adopting.port}\n")
    adopting.config, config = alone, adopting.config
    with adopting:
        image = adopting.place.put("own", None)
        told = meltemi("adopt", "start", "--config", config, code=3).complaint
        assert "the region is being served: stop it" in told
    told = meltemi("adopt", "start", "--config", config, code=3).complaint
    assert "images of its own" in told
    adopting.start()
    adopting.place.delete(image)
    adopting.stop()
    meltemi("adopt", "start", "--config", config, code=0)
    told = meltemi("adopt", "start", "--config", alone, code=2).complaint
    assert "adopt.endpoint is not set" in told

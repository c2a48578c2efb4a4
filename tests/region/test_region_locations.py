"""Locations in a running region behind a real Keystone: used as meant, and by attackers."""

import hashlib
import json
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lab import Keystone, Region, venvs
from tests.region.locating import (
    WAYS,
    People,
    Serving,
    add,
    behind,
    location,
    patch,
    post,
    replace,
    task_of,
)
from tests.support.glance import Place, RefusedError, some_data
from tests.support.websites import Website

pytestmark = pytest.mark.services

DATA = some_data(61, 3 * 2**20 + 11)
POLICY = """\
download_image: "rule:context_is_admin or (role:member and not 'secret':%(name)s and
  (project_id:%(project_id)s or project_id:%(member_id)s or 'public':%(visibility)s))"
publicize_image: "role:member"
"""
"""As by default, but for images called `secret`, which nobody but administrators downloads."""


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with Website() as made:
        yield made


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    with Keystone(tmp_path_factory.mktemp("keystone")) as server:
        yield server


@pytest.fixture(scope="module")
def people(
    tmp_path_factory: pytest.TempPathFactory, keystone: Keystone, site: Website
) -> Iterator[People]:
    """Give a region with two workers that has everything about locations switched on."""
    folder = tmp_path_factory.mktemp("region")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    settings = {
        "workers": 2,
        "show_image_direct_url": True,
        "show_multiple_locations": True,
        "http_store": True,
        "web_download": {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]},
        "policy_file": str(policy),
        **behind(keystone),
    }
    with Region(folder, settings=settings) as server:
        yield People(keystone, server)


def contents(people: People) -> dict[str, str | None]:
    """Give what the catalogue calls the data of each image."""
    database = sqlite3.connect(people.server.folder / "data" / "catalogue.sqlite")
    with closing(database):
        return dict(database.execute("SELECT id, content FROM images"))


def test_a_location_stays_and_says_no_more_than_the_hash(people: People) -> None:
    alice, nova = people("alice"), people("nova")
    queued = alice.put("queued", None)
    shown = alice.show(queued)
    assert shown["locations"] == []
    assert "direct_url" not in shown
    image = alice.put("image", DATA, visibility="public")
    expected = {"url": location(DATA), "metadata": {"store": "chunks"}}
    clone = alice.call("POST", f"/v2/images/{image}/actions/clone", {"name": "clone"})["id"]
    alice.change(image, name="other name")
    people.server.stop()
    people.server.start()
    for one in (image, clone):
        shown = alice.show(one)
        assert (shown["locations"], shown["direct_url"]) == ([expected], expected["url"])
    assert nova.call("GET", f"/v2/images/{image}/locations") == [expected]
    with pytest.raises(RefusedError, match=r"403"):
        alice.call("GET", f"/v2/images/{image}/locations")
    people("admin").act(image, "deactivate")
    assert alice.show(image)["locations"] == []
    assert nova.call("GET", f"/v2/images/{image}/locations") == []
    assert people("admin").show(image)["direct_url"] == expected["url"]
    for one in (image, clone):
        people("admin").delete(one)


@pytest.mark.parametrize("way", WAYS)
def test_data_is_shared_by_its_location(people: People, way: str) -> None:
    alice, data = people("alice"), some_data(62, 100_000)
    image = alice.put("image", data)
    before = people.server.folder / "data" / "store" / "packs"
    packs = sorted(before.rglob("*"))
    other = alice.put("other", None, tags=["t"], os_distro="x")
    WAYS[way](alice, other, alice.show(image)["direct_url"])
    shown, full = alice.show(other), alice.show(image)
    same = ("status", "size", "virtual_size", "checksum", "os_hash_value", "locations", "stores")
    assert [shown[key] for key in same] == [full[key] for key in same]
    assert (shown["name"], shown["tags"], shown["os_distro"]) == ("other", ["t"], "x")
    assert not [key for key in shown if key.startswith("os_glance")]
    found = contents(people)
    assert found[other] == found[image]
    assert sorted(before.rglob("*")) == packs
    task = task_of(alice, other)
    assert (task["status"], task["result"]) == ("success", {"image_id": other})
    alice.delete(image)
    assert alice.data(other) == data
    alice.delete(other)


def refuse(place: Place, image: str, url: str, *ways: str) -> None:
    """See that a location is refused as one of data that is nowhere, and that nothing is given."""
    nothing = location(uuid4().bytes)
    for way in ways or WAYS:
        said = []
        for one in (url, nothing):
            with pytest.raises(RefusedError, match=r"400(?s:.*)Invalid location") as caught:
                WAYS[way](place, image, one)
            said.append(str(caught.value))
        assert said[0] == said[1]
    shown = place.show(image)
    assert (shown["status"], shown["size"], shown["locations"]) == ("queued", None, [])
    assert place.call("GET", f"/v2/images/{image}/tasks")["tasks"] == []


def test_who_knows_everything_gets_nothing_by_it(people: People) -> None:
    alice, bob, admin = people("alice"), people("bob"), people("admin")
    data = [some_data(70 + number, 1000) for number in range(8)]
    made = {
        "private": alice.put("private", data[0], visibility="private"),
        "shared": alice.put("shared", data[1], visibility="shared"),
        "hidden": alice.put("hidden", data[2], visibility="private", os_hidden=True),
        "not to be downloaded": admin.put("secret", data[3], visibility="public"),
        "deactivated": alice.put("off", data[4], visibility="public"),
        "deleted": bob.put("deleted", data[5]),
        "staged": alice.put("staged", None, visibility="public"),
        "community": alice.put("community", data[7], visibility="community"),
    }
    admin.act(made["deactivated"], "deactivate")
    bob.delete(made["deleted"])
    alice.request("PUT", f"/v2/images/{made['staged']}/stage", data[6], "application/octet-stream")
    image = bob.put("image", None)
    for one in data:
        refuse(bob, image, location(one))
        refuse(bob, image, f"meltemi://chunks/md5/{hashlib.md5(one).hexdigest()}")
    found = contents(people)
    for identifier in made.values():
        refuse(bob, image, f"meltemi://chunks/sha512/{identifier.replace('-', '')}")
        for name in (identifier, found.get(identifier)):
            refuse(bob, image, f"meltemi://chunks/{name}", "add", "replace")
    for user in ("amy", "nova"):
        with pytest.raises(RefusedError, match=r"40[34]"):
            add(people(user), image, location(data[0]))
    with pytest.raises(RefusedError, match=r"40[34]"):
        post(people("amy"), image, location(data[0]))
    own = people("amy")
    with pytest.raises(RefusedError, match=r"403"):
        post(own, alice.put("of the project", None), location(data[0]))
    # What makes the difference is the right alone.
    alice.share(made["shared"], people.projects["blue"])
    post(bob, image, location(data[1]))
    assert bob.data(image) == data[1]
    alice.unshare(made["shared"], people.projects["blue"])
    other = bob.put("other", None)
    post(bob, other, location(data[1]))  # bob has an image of his own that has it
    bob.delete(image)
    bob.delete(other)
    refuse(bob, bob.put("too late", None), location(data[1]))


def test_a_service_has_no_more_rights_to_data_than_its_user(people: People) -> None:
    alice, data = people("alice"), some_data(63)
    private = alice.put("image", data)
    theirs = people("bob").put("theirs", None)
    # As Nova asks for bob, with its own token beside his.
    with pytest.raises(RefusedError, match=r"400(?s:.*)Invalid location"):
        ask_for(people, "bob", theirs, location(data))
    # As a service of its own, it is a member of no project.
    public = people("bob").put("theirs", None, visibility="public")
    alice.change(private, visibility="public")
    with pytest.raises(RefusedError, match=r"400(?s:.*)Invalid location"):
        post(people("nova"), public, location(data))
    ask_for(people, "bob", theirs, location(data))
    assert people("bob").data(theirs) == data


def ask_for(people: People, user: str, image: str, url: str) -> None:
    place = Serving(people.server.url, people.tokens[user], people.tokens["nova"])
    post(place, image, url)


def test_what_would_have_other_formats_is_inspected_as_what_it_says(people: People) -> None:
    alice, data = people("alice"), some_data(64, 300_000)
    alice.put("image", data)
    disk = alice.put("disk", None, disk_format="qcow2")
    post(alice, disk, location(data))
    task = task_of(alice, disk)
    assert (task["status"], task["message"]) == (
        "failure",
        "Image disk_format qcow2 does not match stream data raw",
    )
    assert alice.show(disk)["status"] == "queued"
    kernel = alice.put("kernel", None, disk_format="aki", container_format="aki")
    assert add(alice, kernel, location(data))["status"] in ("importing", "active")
    assert task_of(alice, kernel)["status"] == "success"
    assert alice.data(kernel) == data
    another = alice.put("another", None, disk_format="aki", container_format="aki")
    post(alice, another, location(data))
    assert alice.show(another)["status"] == "active"  # for there is one now that says the same


def test_what_is_validated_has_to_be_so(people: People) -> None:
    alice, data = people("alice"), some_data(65, 300_000)
    image = alice.put("image", data)
    url = alice.show(image)["direct_url"]
    for algorithm in ("sha512", "md5", "sha256", "sha1"):
        right = hashlib.new(algorithm, data).hexdigest()
        wrong = hashlib.new(algorithm, b"other").hexdigest()
        other = alice.put("other", None)
        at_once = algorithm in ("sha512", "md5")
        if at_once:
            with pytest.raises(RefusedError, match=r"409(?s:.*)has another hash"):
                post(alice, other, url, os_hash_algo=algorithm, os_hash_value=wrong)
        else:
            post(alice, other, url, os_hash_algo=algorithm, os_hash_value=wrong)
            assert f"does not have the {algorithm}" in task_of(alice, other)["message"]
        assert alice.show(other)["status"] == "queued"
        good = alice.put("good", None)
        post(alice, good, url, os_hash_algo=algorithm, os_hash_value=right.upper())
        assert task_of(alice, good)["status"] == "success"
        assert alice.data(good) == data
        assert alice.show(good)["os_hash_value"] == hashlib.sha512(data).hexdigest()
    sha512, md5 = hashlib.sha512(data).hexdigest(), hashlib.md5(data).hexdigest()
    patched = alice.put("patched", None)
    for checksum, value in ((md5, "0" * 128), ("0" * 32, sha512)):
        validation = {"checksum": checksum, "os_hash_value": value}
        with pytest.raises(RefusedError, match=r"409(?s:.*)has another hash"):
            add(alice, patched, url, os_hash_algo="sha512", **validation)
    add(alice, patched, url, os_hash_algo="sha512", os_hash_value=sha512, checksum=md5)
    assert alice.data(patched) == data


@pytest.mark.parametrize("way", WAYS)
def test_data_is_fetched_from_the_web_once(people: People, site: Website, way: str) -> None:
    alice, gate, data = people("alice"), threading.Event(), some_data(66, 5 * 2**20 + 3)
    url = site.put(f"/{way}", data, gate=gate)
    image = alice.put("image", None)
    WAYS[way](alice, image, url)
    assert alice.show(image)["status"] == "importing"
    with pytest.raises(RefusedError, match=r"409(?s:.*)if image status is importing"):
        WAYS[way](alice, image, url)
    gate.set()
    assert task_of(alice, image)["status"] == "success"
    shown = alice.show(image)
    assert (shown["status"], shown["direct_url"]) == ("active", location(data))
    assert not [key for key in shown if key.startswith("os_glance")]
    site.put(f"/{way}", b"now it is something else")
    assert alice.data(image) == data
    assert [path for path, _ in site.asked].count(f"/{way}") == 1


def test_what_the_web_has_is_held_against_hashes(people: People, site: Website) -> None:
    alice, data = people("alice"), some_data(67, 2**20)
    url = site.put("/held", data)
    for algorithm in ("sha512", "md5", "sha256"):
        for value, status in ((data, "success"), (b"other", "failure")):
            image = alice.put("image", None)
            digest = hashlib.new(algorithm, value).hexdigest()
            post(alice, image, url, os_hash_algo=algorithm, os_hash_value=digest)
            assert task_of(alice, image)["status"] == status
            assert alice.show(image)["status"] == {"success": "active"}.get(status, "queued")
    checksums = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(data).hexdigest()}
    image = alice.put("image", None)
    add(alice, image, url, checksum=hashlib.md5(b"other").hexdigest(), **checksums)
    assert task_of(alice, image)["status"] == "failure"
    assert alice.show(image)["status"] == "queued"


def test_what_may_not_be_fetched(people: People, site: Website) -> None:
    alice, image = people("alice"), people("alice").put("image", None)
    for url in (
        f"http://localhost:{site.port}/x",
        f"http://[::1]:{site.port}/x",
        f"http://2130706433:{site.port}/x",
        f"http://user:secret@127.0.0.1:{site.port}/x",
        f"http://127.0.0.1:{people.server.port}/v2/images",
        "https://169.254.169.254/latest/meta-data",
    ):
        with pytest.raises(RefusedError, match=r"400(?s:.*)does not pass filtering"):
            post(alice, image, url)
        with pytest.raises(RefusedError, match=r"400(?s:.*)Invalid location"):
            add(alice, image, url)
    evil = site.put("/evil", status=302, headers={"Location": f"http://[::1]:{site.port}/x"})
    post(alice, image, evil)
    assert "Redirect to disallowed URL" in task_of(alice, image)["message"]
    for url in ("file:///etc/passwd", "swift://x", "rbd://a/b/c/d", "", "meltemi://", "httpx://x"):
        refuse_any(people("nova"), alice.put("other", None, visibility="community"), url)


def refuse_any(place: Place, image: str, url: str) -> None:
    with pytest.raises(RefusedError, match=r"400(?s:.*)Invalid location"):
        post(place, image, url)


def test_by_default_nothing_of_it_is_there(
    tmp_path: Path, keystone: Keystone, site: Website
) -> None:
    rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
    settings = {"web_download": rules, **behind(keystone)}
    with Region(tmp_path / "region", settings=settings) as server:
        people = People(keystone, server)
        alice, url = people("alice"), site.put("/data", DATA)
        image = alice.put("image", None, visibility="community")
        full = alice.put("full", DATA)
        assert not alice.show(full).keys() & {"locations", "direct_url"}
        with pytest.raises(RefusedError, match=r"403(?s:.*)http store must be enabled"):
            post(alice, image, url)
        refuse_any(people("nova"), image, url)
        for way in (add, replace):
            with pytest.raises(RefusedError, match=r"403(?s:.*)if locations are invisible"):
                way(alice, image, location(DATA))
        post(alice, image, location(DATA))
        assert alice.data(image) == DATA


def test_an_image_has_one_location(people: People) -> None:
    alice, admin, data = people("alice"), people("admin"), some_data(68)
    image = alice.put("image", data)
    shown = alice.show(image)
    remove = {"op": "remove", "path": "/locations/0"}
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: add(alice, image, location(data)), r"413(?s:.*)Attempted: 2, Maximum: 1"),
        (lambda: replace(alice, image, location(b"x")), r"400(?s:.*)locations is not empty"),
        (lambda: patch(admin, image, remove), r"403(?s:.*)last location"),
    ]
    for call, words in refused:
        with pytest.raises(RefusedError, match=words):
            call()
    told = replace(alice, image, location(data))
    assert told["locations"] == shown["locations"]
    assert told["updated_at"] == shown["updated_at"]
    odd = {"url": location(data), "metadata": {"mine": "x"}}
    with pytest.raises(RefusedError, match=r"400(?s:.*)no metadata"):
        patch(alice, image, {"op": "replace", "path": "/locations", "value": [odd]})


def test_nothing_is_changed_where_the_location_is_refused(people: People) -> None:
    alice, data = people("alice"), some_data(69)
    image = alice.put("image", None)
    given = {"op": "add", "path": "/locations/-"}
    named = {"op": "replace", "path": "/name", "value": "new"}
    with pytest.raises(RefusedError, match="Invalid location"):
        patch(alice, image, named, {**given, "value": {"url": location(data), "metadata": {}}})
    assert alice.show(image)["name"] == "image"
    alice.put("source", data)
    shown = patch(alice, image, named, {**given, "value": {"url": location(data), "metadata": {}}})
    assert (shown["name"], shown["status"]) == ("new", "active")


GLANCECLIENT = """
import json, sys
from glanceclient import Client

url, token, service, image, other, third, location, web = sys.argv[1:]
alice, nova = Client("2", url, token=token), Client("2", url, token=service)
alice.images.add_location(image, location, {})
alice.images.add_image_location(other, location, {})
alice.images.add_image_location(third, web, {})
print(json.dumps({
    "old": alice.images.get(image).locations,
    "new": list(nova.images.get_image_locations(other)),
}))
"""


def test_python_glanceclient(people: People, site: Website) -> None:
    alice, data = people("alice"), some_data(69, 100_000)
    alice.put("image", data)
    images = [alice.put(f"image {number}", None, visibility="community") for number in range(3)]
    given = [location(data), site.put("/glanceclient", DATA)]
    tokens = [people.tokens["alice"], people.tokens["nova"]]
    python = str(venvs.environment("glanceclient") / "bin" / "python")
    done = subprocess.run(
        [python, "-c", GLANCECLIENT, people.server.url, *tokens, *images, *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: Any = [{"url": location(data), "metadata": {"store": "chunks"}}]
    assert json.loads(done.stdout) == {"old": told, "new": told}
    assert task_of(alice, images[2])["status"] == "success"
    assert alice.data(images[2]) == DATA

"""Snapshots whose parent is in another region keep what it lacks, and read the rest from there."""

import hashlib
import json
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from random import Random

import pytest

from tests.region.borrowing import BATCH, CHILD, GRANDCHILD, PARENT, Pair
from tests.support.builds import KIB, MIB, disk
from tests.support.cli import meltemi, succeed
from tests.support.exchanging import Exchange, Line, delta
from tests.support.glance import Place, RefusedError, some_data
from tests.support.proxy import FILE
from tests.support.waiting import eventually


def part(pair: Pair, image: str, first: int, end: int) -> bytes:
    """Give a range of an image's data."""
    with closing(HTTPConnection("127.0.0.1", pair.here.port, timeout=120)) as connection:
        connection.request(
            "GET", f"/v2/images/{image}/file", headers={"Range": f"bytes={first}-{end - 1}"}
        )
        answer = connection.getresponse()
        assert answer.status == 206
        return answer.read()


def test_only_what_the_parent_lacks_is_kept(lone: Pair) -> None:
    parent = lone.home.put("golden", PARENT)
    child = lone.snapshot(parent)
    loan = lone.loan(child)
    assert loan is not None
    assert (loan["region"], loan["parent"]) == ("RegionOne", parent)
    assert 100 * KIB < loan["own"] < 900 * KIB
    eventually(lambda: lone.stored() < 1000 * KIB)
    assert lone.here.data(child) == CHILD
    shown = lone.here.show(child)
    assert (shown["status"], shown["size"]) == ("active", len(CHILD))
    assert shown["os_hash_value"] == hashlib.sha512(CHILD).hexdigest()
    assert not lone.way.of("GET", FILE)


def test_a_manifest_of_many_segments(pair: Pair) -> None:
    large = some_data(7, 48 * MIB)
    data = large[: 9 * MIB] + some_data(8, MIB) + large[9 * MIB :] + bytes(MIB) + large[: 70 * KIB]
    child = pair.snapshot(pair.home.put("large", large), data)
    assert pair.way.of("POST", "/segments$")
    assert pair.here.data(child) == data
    for first in range(0, len(data), 5 * MIB + 11):
        assert part(pair, child, first, first + 999) == data[first : first + 999]
    gives_pieces(Exchange(pair.here), child, Exchange(pair.home), pair.home.put("same", data), data)


def gives_pieces(here: Exchange, child: str, home: Exchange, whole: str, data: bytes) -> None:
    """See that an image that borrows is exchanged as one that does not, and said not to be one."""
    assert here.root(child) == home.root(whole)
    assert here.entries(child) == home.entries(whole)
    name = manifest(home.place, whole).headers["ETag"]
    for place, image, borrowed in ((home.place, whole, None), (here.place, child, "true")):
        assert manifest(place, image).headers["x-meltemi-borrowed"] == borrowed
        assert manifest(place, image, name).status == (200 if borrowed else 304)
    chance = Random(6)
    ends = [sorted(chance.sample(range(len(data) - 1), 2)) for _ in range(300)]
    ranges = [[first, min(end - first, 64 * KIB)] for first, end in ends]
    ranges += [[first, 1] for first, _ in ends] + [[n * 256 * KIB, 256 * KIB] for n in range(8)]
    assert here.batch(child, ranges) == [data[at : at + length] for at, length in ranges]
    own, lent, zeros = ([[at, 128 * KIB]] for at in (9 * MIB + 300 * KIB, 0, 49 * MIB + 300 * KIB))
    assert 128 * KIB <= here.batch_size(child, own) < 130 * KIB
    assert here.batch_size(child, lent) == 128 * KIB
    assert here.batch_size(child, zeros) == 0
    for wrong in ([[0, 1]], [[9, 0]], [[2**62, 0]]):
        with pytest.raises(RefusedError, match="400"):
            here.segments(child, wrong)
    image = here.place.put("other", None)
    lines: list[Line] = [[MIB, "i", 0, 0], [len(data) - MIB, "i", 0, MIB]]
    with pytest.raises(RefusedError, match="409"):
        here.put(image, delta(len(data), [child], lines))


def manifest(place: Place, image: str, known: str = "") -> HTTPResponse:
    """Ask for a manifest, unless it is the one that is known."""
    with closing(HTTPConnection("127.0.0.1", place.port, timeout=120)) as connection:
        headers = {"If-None-Match": known} if known else {}
        connection.request("GET", f"/v2/images/{image}/manifest", headers=headers)
        return connection.getresponse()


def test_any_part_of_it_can_be_read(pair: Pair) -> None:
    child = pair.snapshot(pair.home.put("golden", PARENT))
    chance = Random(5)
    used = len(CHILD.rstrip(b"\0"))
    for _ in range(25):
        first, end = sorted(chance.sample(range(used), 2))
        assert part(pair, child, first, end) == CHILD[first:end]
    for first in (0, MIB - 1, MIB, used - 1, len(CHILD) - 1):
        assert part(pair, child, first, first + 1) == CHILD[first : first + 1]


def test_whoever_deletes_the_parent_harms_nobody(pair: Pair) -> None:
    parent = pair.home.put("golden", PARENT)
    child = pair.snapshot(parent)
    pair.home.delete(parent)
    [hold] = pair.holds(child)
    with pytest.raises(RefusedError, match="403"):
        pair.home.delete(hold)
    assert pair.here.data(child) == CHILD


def test_nothing_is_held_for_what_is_deleted(lone: Pair) -> None:
    child = lone.snapshot(lone.home.put("golden", PARENT))
    clone = lone.here.call("POST", f"/v2/images/{child}/actions/clone", {"name": "clone"})["id"]
    lone.here.delete(child)
    assert lone.here.data(clone) == CHILD
    assert lone.holds(child)
    lone.here.delete(clone)
    eventually(lambda: not lone.holds(child))
    eventually(lambda: lone.stored() < 10 * KIB)


def test_a_snapshot_of_a_snapshot(lone: Pair) -> None:
    child = lone.snapshot(lone.home.put("golden", PARENT))
    grandchild = lone.snapshot(child, GRANDCHILD)
    eventually(lambda: lone.stored() < 1000 * KIB)
    lone.here.delete(child)
    eventually(lambda: not lone.holds(child))
    assert lone.here.data(grandchild) == GRANDCHILD


def test_the_same_data_as_the_parent(pair: Pair) -> None:
    child = pair.snapshot(pair.home.put("golden", PARENT), PARENT)
    loan = pair.loan(child)
    assert loan is not None
    assert loan["own"] == 0
    assert pair.here.data(child) == PARENT


def test_what_is_read_often_needs_no_peer(pair: Pair) -> None:
    child = pair.snapshot(pair.home.put("golden", PARENT))
    pair.here.call("PUT", f"/v2/cache/{child}")
    eventually(lambda: bool(pair.here.call("GET", "/v2/cache")["cached_images"]))
    pair.way.requests.clear()
    assert pair.here.data(child) == CHILD
    assert not pair.way.of("POST", BATCH)


@pytest.mark.parametrize("parent", ["golden", "../../v2/images", "0" * 36, "self"])
def test_a_name_that_leads_nowhere(pair: Pair, parent: str) -> None:
    child = pair.here.put("snapshot", CHILD, base_image_ref=parent)
    assert pair.here.data(child) == CHILD
    assert not pair.way.requests


def test_what_shares_next_to_nothing_stays_whole(pair: Pair) -> None:
    parent = pair.home.put("other", some_data(3, 3 * MIB))
    child = pair.here.put("snapshot", CHILD, base_image_ref=parent)
    eventually(lambda: bool(pair.way.of("DELETE", "/v2/images/")))
    eventually(lambda: not pair.holds(child))
    assert pair.loan(child) is None
    assert pair.here.data(child) == CHILD


def test_what_the_parent_has_here_is_not_borrowed(pair: Pair) -> None:
    parent = pair.here.put("golden", PARENT)
    child = pair.here.put("snapshot", CHILD, base_image_ref=parent)
    assert pair.here.data(child) == CHILD
    assert not pair.way.requests


def test_it_is_exported_on_its_own(pair: Pair, tmp_path: Path) -> None:
    child = pair.snapshot(pair.home.put("golden", PARENT))
    line = ("image", "pull", child, "child.raw", "--library", pair.here.url)
    done = meltemi(*line, code=0, cwd=tmp_path)
    assert "as a whole" not in done.err
    assert "fetch snapshot" in done.err
    assert (tmp_path / "child.raw").read_bytes() == CHILD
    only = ("--match", f"id={child}")
    meltemi("dump", pair.here.url, tmp_path / "archive", *only, code=0)
    pair.way.requests.clear()
    [row] = succeed("livecopy", pair.here.url, pair.home.url, *only, "-f", "json").rows
    assert row["Wire"] < 900 * KIB
    assert not pair.way.of("POST", BATCH), "what is lent stays where it is"
    assert pair.home.data(child) == CHILD


def test_a_push_borrows_as_well(pair: Pair, tmp_path: Path) -> None:
    """Here, a base is one that is here; the parent is told apart."""
    parent = pair.home.put("golden", PARENT)
    data = disk([*range(58), 301, 302], 24)
    (tmp_path / "child.raw").write_bytes(data)
    words = ("--name", "child", "--property", f"base_image_ref={parent}", "-f", "json")
    done = meltemi(
        *("image", "push", "child.raw", *words, "--library", pair.here.url), code=0, cwd=tmp_path
    )
    assert "push child.raw: " in done.err
    [row] = json.loads(done.out)
    pair.wait_for_loan(row["ID"])
    assert pair.here.data(row["ID"]) == data


def test_many_read_it_while_it_begins_to_borrow(pair: Pair) -> None:
    parent = pair.home.put("golden", PARENT)
    child = pair.here.put("snapshot", CHILD, base_image_ref=parent)
    here = Exchange(pair.here)
    root, lent = here.root(child), [MIB + 5, 9]
    while pair.loan(child) is None:
        assert pair.here.data(child) == CHILD
        assert here.root(child) == root
        assert here.batch(child, [lent, [0, 1]]) == [CHILD[MIB + 5 : MIB + 14], CHILD[:1]]
    assert pair.here.data(child) == CHILD
    assert pair.way.of("POST", BATCH)

"""Copies between regions, which exchange images by pieces, as a user sees them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Region, images
from tests.support.builds import BUILD, GOLDEN, KIB, MIB, disk
from tests.support.cli import meltemi, succeed
from tests.support.glance import Place, Service
from tests.support.proxy import Fault, Proxy


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Region, Region]]:
    folder = tmp_path_factory.mktemp("regions")
    with Region(folder / "athens", name="athens") as one, Region(folder / "crete") as two:
        yield one, two


@pytest.fixture
def athens(servers: tuple[Region, Region]) -> Iterator[Proxy]:
    """Give the way to a region, which counts what passes."""
    with Proxy(servers[0].url) as proxy:
        yield proxy


@pytest.fixture
def crete(servers: tuple[Region, Region]) -> Iterator[Proxy]:
    with Proxy(servers[1].url) as proxy:
        yield proxy


def moved(*proxies: Proxy) -> int:
    """Give the bytes of all bodies that passed, and forget them."""
    total = sum(r.sent + r.answered for proxy in proxies for r in proxy.requests)
    for proxy in proxies:
        proxy.requests.clear()
    return total


def copied(athens: Proxy, crete: Proxy, *words: object) -> dict[str, Any]:
    """Copy the one image that there is to copy; give its row."""
    [row] = succeed("livecopy", athens, crete, *words, "-f", "json").rows
    assert row["Result"] == "done"
    ours, theirs = Place(athens.url).show(row["ID"]), Place(crete.url).show(row["ID"])
    assert theirs["status"] == "active"
    assert theirs["os_hash_value"] == ours["os_hash_value"]
    assert not athens.of("GET", "/file$")
    return row


def selected(name: str) -> tuple[str, ...]:
    return "--match", f"name={name}*"


def test_only_what_is_new_crosses_the_wire(athens: Proxy, crete: Proxy) -> None:
    source, words = Place(athens.url), selected("linux")
    source.put("linux 1", GOLDEN)
    first = copied(athens, crete, *words)
    assert first["Bytes"] == len(GOLDEN)
    assert first["Wire"] < 6 * MIB

    athens.requests.clear()
    crete.requests.clear()
    made = source.put(
        "linux 2", BUILD, visibility="public", protected=True, tags=["a"], os_distro="any"
    )
    moved(athens, crete)
    build = copied(athens, crete, *words)
    from_source = sum(r.answered for r in athens.of("POST", "/batch$"))
    to_target = sum(r.sent for r in crete.of("PUT", ""))
    assert from_source <= to_target <= build["Wire"] < 1200 * KIB
    there = Place(crete.url).show(made)
    assert (there["visibility"], there["protected"], there["tags"]) == ("public", True, ["a"])
    assert Place(crete.url).data(made) == BUILD
    source.change(made, protected=False)


def test_images_that_come_together_send_what_they_share_once(athens: Proxy, crete: Proxy) -> None:
    source, words = Place(athens.url), selected("together")
    data = [disk(range(n, n + 50), 32) for n in (300, 302, 304, 300)]
    made = [source.put(f"together {n}", one) for n, one in enumerate(data, 1)]
    rows = succeed("livecopy", athens, crete, *words, "-f", "json").rows
    wires = {row["ID"]: row["Wire"] for row in rows}
    # Which is the first is open where several were made in the same second.
    *others, first = sorted(wires.values())
    assert first > 2 * MIB
    assert all(wire < MIB for wire in others)
    # Nothing but the roots of two manifests, and that all of it is there.
    assert min(wires[made[0]], wires[made[3]]) < 16 * KIB
    assert [Place(crete.url).data(image) for image in made] == data


def test_an_image_that_is_there_already_takes_next_to_nothing(athens: Proxy, crete: Proxy) -> None:
    source, words = Place(athens.url), selected("same")
    source.put("same 1", GOLDEN)
    copied(athens, crete, *words)
    source.put("same 2", GOLDEN)
    moved(athens, crete)
    row = copied(athens, crete, *words)
    assert row["Wire"] < 16 * KIB
    assert moved(athens, crete) < 64 * KIB


def test_a_plan_tells_what_will_cross_the_wire(athens: Proxy, crete: Proxy, tmp_path: Path) -> None:
    source, words = Place(athens.url), selected("planned")
    source.put("planned 1", disk(range(200, 260), 32))
    copied(athens, crete, *words)
    source.put("planned 2", disk(range(202, 262), 32))
    dry = succeed("livecopy", athens, crete, *words, "--dry-run", "-f", "json")
    [row] = dry.rows
    assert row["Bytes"] == 32 * MIB
    assert row["Wire"] < MIB
    assert "by pieces, at most" in row["Reason"]
    assert "1 to do (at most " in dry.err
    compared = meltemi("compare", athens, crete, *words, "-f", "json", code=1)
    assert "Wire" not in compared.rows[0]

    libraries = {name: {"url": str(proxy)} for name, proxy in [("a", athens), ("c", crete)]}
    route = {"from": "a", "to": "c", "match": {"name": "planned*"}}
    config = tmp_path / "meltemi.yaml"
    config.write_text(
        json.dumps({"version": 1, "libraries": libraries, "routes": {"route": route}})
    )
    [planned] = succeed("plan", config, "--out", tmp_path / "saved", "-f", "json").rows
    assert planned["Wire"] == row["Wire"]
    athens.requests.clear()
    crete.requests.clear()
    [done] = succeed("apply", tmp_path / "saved", "-f", "json").rows
    passed = sum(r.sent for r in crete.of("PUT", ""))
    assert passed <= done["Wire"] <= planned["Wire"]
    assert not athens.of("GET", "/file$")
    assert succeed("plan", config).err.startswith("2 in sync, 0 to do")


def test_a_plan_without_changes_asks_for_nothing_more(athens: Proxy, crete: Proxy) -> None:
    words = selected("unchanged")
    Place(athens.url).put("unchanged", GOLDEN)
    copied(athens, crete, *words)
    athens.requests.clear()
    crete.requests.clear()
    assert succeed("livecopy", athens, crete, *words).idle
    for proxy in (athens, crete):
        assert {r.path for r in proxy.requests} == {"/", "/v2/images"}


def test_what_is_cut_otherwise_is_sent_as_a_whole(athens: Proxy, crete: Proxy) -> None:
    facts = Place(crete.url).call("GET", "/v2/info/exchange")["exchange"]
    told = json.dumps({"exchange": {**facts, "cut": "fixed-64k"}})
    crete.fault(Fault("GET", "/info/exchange$", answer=200, body=told))
    words = selected("otherwise")
    image = Place(athens.url).put("otherwise", GOLDEN)
    [row] = succeed("livecopy", athens, crete, *words, "-f", "json").rows
    assert row["Wire"] == len(GOLDEN)
    assert row["Detail"] == (
        "it is missing; as a whole: data is cut otherwise (cdc-64k and fixed-64k)"
    )
    assert Place(crete.url).data(image) == GOLDEN


def test_a_glance_and_an_archive_get_the_whole_and_the_plan_says_so(
    athens: Proxy, anonymous: Service, tmp_path: Path
) -> None:
    words = selected("into glance")
    image = Place(athens.url).put("into glance", GOLDEN)
    for target in (anonymous, tmp_path / "vault"):
        [row] = succeed("livecopy", athens, target, *words, "--dry-run", "-f", "json").rows
        assert row["Wire"] == row["Bytes"] == len(GOLDEN)
        assert row["Reason"] == f"it is missing; as a whole: {target} does not exchange pieces"
        succeed("livecopy", athens, target, *words)
    assert anonymous.data(image) == GOLDEN


def test_a_real_disk_and_what_came_of_it(athens: Proxy, crete: Proxy, tmp_path: Path) -> None:
    """A Debian, and the same after some of its blocks were written anew."""
    debian = images.debian_disk()
    later = tmp_path / "later.raw"
    with debian.open("rb") as old, later.open("wb") as new:
        for number in range(512):
            block = old.read(MIB)
            changed = number % 100 == 50
            new.write(
                images.random_bytes(64 * KIB, number) + block[64 * KIB :] if changed else block
            )
    source, words = Place(athens.url), selected("debian")
    parent = source.put("debian", debian)
    first = copied(athens, crete, *words)
    assert first["Wire"] < 200 * MIB
    source.put("debian server", later, base_image_ref=parent)
    second = copied(athens, crete, *words)
    assert second["Wire"] < 5 * MIB

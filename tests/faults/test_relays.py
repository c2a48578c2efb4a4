"""Routes with a relay, between real services: what crosses which link, and relays that fail."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import Region, images
from tests.support.builds import BUILD, GOLDEN, KIB, MIB
from tests.support.cli import meltemi, succeed
from tests.support.glance import Place, Service
from tests.support.proxy import FILE, Fault, Proxy

LARGE = images.random_bytes(8 * MIB, 9)
SMALL = images.random_bytes(MIB, 10)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def far(source: Service) -> Iterator[Proxy]:
    """Give the expensive link to the source."""
    with Proxy(source.url) as proxy:
        yield proxy


def carried(*proxies: Proxy) -> int:
    """Give the bytes of image data that libraries gave through these."""
    return sum(r.answered for p in proxies for r in (*p.of("GET", FILE), *p.of("POST", "/batch$")))


def words(source: object, targets: Sequence[object], relay: object) -> tuple[object, ...]:
    return "livecopy", source, *targets, "--relay", relay


def see_exact(targets: Sequence[Place], made: dict[str, bytes]) -> None:
    for target in targets:
        assert {key: target.data(key) for key in made} == made
        assert {target.show(key)["status"] for key in made} == {"active"}


def see_nothing(targets: Sequence[Place]) -> None:
    """See no image that has data."""
    assert not [i for t in targets for i in t.images() if i["status"] not in ("queued", "saving")]


def test_the_source_gives_each_image_once_and_a_saved_plan_says_so(
    source: Service, targets: list[Service], far: Proxy, tmp_path: Path
) -> None:
    made = {source.put("large", LARGE): LARGE, source.put("small", SMALL): SMALL}
    urls = {"far": far, "relay": targets[0], "one": targets[1], "two": targets[2]}
    route = {"from": "far", "to": ["one", "relay", "two"], "relay": "relay"}
    config = tmp_path / "meltemi.yaml"
    libraries = {name: {"url": str(url)} for name, url in urls.items()}
    config.write_text(
        json.dumps({"version": 1, "libraries": libraries, "routes": {"route": route}})
    )
    planned = succeed("plan", config, "--out", tmp_path / "saved", "-f", "json").rows
    told = {(row["From"], row["To"], row["Reason"]) for row in planned}
    assert told == {
        ("far", "relay", "it is missing"),
        ("far", "one", "it is missing; from the relay relay"),
        ("far", "two", "it is missing; from the relay relay"),
    }
    done = succeed("apply", tmp_path / "saved", "-f", "json").rows
    assert {row["Result"] for row in done} == {"done"}
    assert carried(far) == len(LARGE) + len(SMALL)
    see_exact(targets, made)
    assert succeed("sync", config).idle


def test_what_the_relay_has_does_not_use_the_source_s_link(
    source: Service, targets: list[Service], far: Proxy
) -> None:
    relay, *others = targets
    made = {source.put("large", LARGE): LARGE}
    succeed("livecopy", far, relay)
    far.requests.clear()
    with Proxy(relay.url) as near:
        succeed(*words(far, [near, *others], near))
        assert carried(near) == len(LARGE)
    assert carried(far) == 0
    see_exact(others, made)


def test_a_relay_that_is_down_keeps_all_others_as_they_are(
    source: Service, targets: list[Service], far: Proxy
) -> None:
    relay, *others = targets
    source.put("large", LARGE)
    relay.server.stop()
    done = meltemi(*words(far, targets, relay), "-f", "json", code=6)
    conflicts = {row["To"]: row["Detail"] for row in done.rows if row["Result"] == "conflict"}
    reason = f"it is missing; not copied: the relay {relay} cannot be read"
    assert conflicts == {str(target): reason for target in others}
    assert carried(far) == 0
    assert not [image for target in others for image in target.images()]


def test_a_relay_killed_while_it_gets_an_image(
    source: Service, targets: list[Service], far: Proxy
) -> None:
    relay, *others = targets
    source.put("large", LARGE)
    with Proxy(relay.url) as near:
        near.fault(Fault("PUT", FILE, times=1, at=3 * MIB, before=relay.server.kill))
        done = meltemi(*words(far, [near, *others], near), "-f", "json")
        assert done.code in (3, 6), done.err
        ends = {row["To"]: (row["Result"], row["Detail"]) for row in done.rows}
        assert ends[str(near)][0] == "failed"
        skipped = ("skipped", f"not copied, since the relay {near} did not get it")
        assert {ends[str(target)] for target in others} == {skipped}
        see_nothing(others)
        relay.server.start()
        near.fault()
        far.requests.clear()
        succeed(*words(far, [near, *others], near))
        assert carried(far) == len(LARGE)
        far.requests.clear()
        # What the killed relay was saving is there for good, and is told of.
        succeed(*words(far, [near, *others], near))
        assert carried(far) == 0
    for target in targets:
        [image] = [image for image in target.images() if image["status"] == "active"]
        assert target.data(image["id"]) == LARGE


def test_a_relay_killed_while_it_gives_an_image(
    source: Service, targets: list[Service], far: Proxy
) -> None:
    relay, *others = targets
    made = {source.put("large", LARGE): LARGE}
    with Proxy(relay.url) as near:
        # What the killed relay had sent into the connection must not be enough for all of it.
        killing = Fault("GET", FILE, times=1, at=3 * MIB, before=relay.server.kill)
        near.fault(replace(killing, cut_answer=3 * MIB))
        done = meltemi(*words(far, [near, *others], near), "-f", "json")
        assert done.code in (3, 6), done.err
        see_nothing(others)
        relay.server.start()
        near.fault()
        succeed(*words(far, [near, *others], near))
        assert succeed(*words(far, [near, *others], near)).idle
    assert carried(far) == len(LARGE)
    see_exact(targets, made)


def test_data_that_the_relay_altered_becomes_no_image(
    source: Service, targets: list[Service], far: Proxy
) -> None:
    relay, *others = targets
    image = source.put("large", LARGE)
    succeed("livecopy", far, relay)
    stored = relay.server.store / image
    stored.write_bytes(bytes([LARGE[0] ^ 1]) + LARGE[1:])
    done = meltemi(*words(far, targets, relay), "-f", "json", code=3)
    failed = [row for row in done.rows if row["Result"] == "failed"]
    assert {row["To"] for row in failed} == set(map(str, others))
    assert all(f"{relay}: image large" in row["Detail"] for row in failed)
    assert all("not the one on record" in row["Detail"] for row in failed)
    see_nothing(others)
    stored.write_bytes(LARGE)
    succeed(*words(far, targets, relay))
    assert carried(far) == len(LARGE)
    see_exact(others, {image: LARGE})


def test_a_relay_is_one_of_the_targets(source: Service, targets: list[Service]) -> None:
    done = meltemi(*words(source, targets[1:], targets[0]), code=2)
    assert f"--relay: {targets[0]} is none of the targets" in done.err


class Regions:
    """Three regions, each behind a proxy: the second one is the relay."""

    def __init__(self, proxies: Sequence[Proxy]) -> None:
        self.proxies = proxies
        self.places = [Place(proxy.url) for proxy in proxies]

    def copy(self) -> list[dict[str, Any]]:
        """Copy what there is to copy, and forget what crossed the wire before."""
        for proxy in self.proxies:
            proxy.requests.clear()
        athens, *others = self.proxies
        rows = succeed(*words(athens, others, others[0]), "-f", "json").rows
        assert {row["Result"] for row in rows} <= {"done"}
        return rows


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[Regions]:
    names = ("athens", "crete", "naxos", "paros")
    with ExitStack() as stack:
        servers = [stack.enter_context(Region(tmp_path / name, name=name)) for name in names]
        yield Regions([stack.enter_context(Proxy(server.url)) for server in servers])


def test_between_regions_each_link_carries_each_piece_once(regions: Regions) -> None:
    athens, crete, naxos, paros = regions.proxies
    source, *others = regions.places
    made = {source.put("linux 1", GOLDEN): GOLDEN}
    regions.copy()
    first = carried(athens)
    made[source.put("linux 2", BUILD)] = BUILD
    rows = regions.copy()
    assert 0 < carried(athens) < min(first, 1200 * KIB)
    assert carried(crete) == 2 * carried(athens)
    assert carried(naxos, paros) == 0
    assert not [proxy for proxy in regions.proxies if proxy.of("GET", FILE)]
    assert max(row["Wire"] for row in rows) < 1200 * KIB
    see_exact(others, made)


def test_a_region_that_has_the_image_gives_its_pieces(regions: Regions) -> None:
    athens, crete, *_ = regions.proxies
    source, *others = regions.places
    image = source.put("linux", GOLDEN)
    succeed("livecopy", athens, crete)
    regions.copy()
    assert not [r for r in athens.requests if r.path.startswith(f"/v2/images/{image}/")]
    assert carried(crete) > 0
    see_exact(others, {image: GOLDEN})

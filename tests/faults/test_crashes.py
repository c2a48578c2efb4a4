"""Services that fail, hang and die under a run: others go on, and the next run completes."""

import time

import pytest

from lab import Postgres, images
from tests.support.cli import meltemi, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy

MIB = 2**20
SMALL = b"small" * 1000
LARGE = images.random_bytes(8 * MIB, 4)


def see_whole(target: Service, **wanted: bytes) -> None:
    """See these images, each active once, and no other that is."""
    active = [image for image in target.images() if image["status"] == "active"]
    assert {image["name"]: target.data(image["id"]) for image in active} == wanted
    assert len(active) == len(wanted)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET"])
def test_a_target_that_fails_once(source: Service, target: Service, method: str) -> None:
    source.put("large", LARGE, visibility="public", protected=True)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault(method, "/v2/images", times=1, answer=500))
        succeed("livecopy", source, proxy)
    see_whole(target, large=LARGE)
    assert target.named("large")["visibility"] == "public"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_answer_that_is_lost(source: Service, target: Service, method: str) -> None:
    """What was asked for happened, though the answer never came."""
    source.put("large", LARGE, visibility="public", protected=True)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault(method, "/v2/images", times=1, cut_answer=-1))
        succeed("livecopy", source, proxy)
    see_whole(target, large=LARGE)
    assert target.named("large")["visibility"] == "public"
    assert len(target.images()) == 1
    assert succeed("livecopy", source, target).idle


@pytest.mark.parametrize(("method", "status"), [("PUT", 500), ("PATCH", 400)])
def test_a_target_that_always_fails_for_one_image(
    source: Service, target: Service, method: str, status: int
) -> None:
    bad = source.put("bad", LARGE, visibility="public")
    source.put("good", SMALL)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault(method, bad, answer=status))
        done = meltemi("livecopy", source, proxy)
        assert done.code == 3, done.err
        assert str(status) in done.about("bad", bad, proxy.url, "failed")
    assert target.data(target.named("good")["id"]) == SMALL
    assert target.show(bad)["visibility"] == "private"
    succeed("livecopy", source, target)
    see_whole(target, bad=LARGE, good=SMALL)
    assert target.show(bad)["visibility"] == "public"


def test_an_upload_that_is_cut_never_becomes_active(source: Service, target: Service) -> None:
    image = source.put("large", LARGE, visibility="public")
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, cut_body=len(LARGE) - 1))
        done = meltemi("livecopy", source, proxy)
        assert done.code == 3, done.err
        done.about("large", image, "failed")
        target.wait_for(image, "queued")
        assert target.show(image)["visibility"] == "private"
        proxy.fault(Fault("PUT", FILE, times=2, cut_body=5 * MIB))
        succeed("livecopy", source, proxy)
    see_whole(target, large=LARGE)


def test_a_target_that_hangs_does_not_hold_up_the_other(
    source: Service, targets: list[Service]
) -> None:
    one, two, _ = targets
    source.put("large", LARGE)
    source.put("small", SMALL)
    with Proxy(two.url) as proxy:
        proxy.fault(Fault("PUT", FILE, times=1, before=two.server.pause))
        done = meltemi("livecopy", source, one, proxy, "--timeout", "10s")
    assert done.code in (3, 6), done.err
    see_whole(one, large=LARGE, small=SMALL)
    assert two.url not in done.err
    assert "done" not in "".join(line for line in done.lines if proxy.url in line)
    failed = [line for line in done.lines if proxy.url in line and "failed" in line]
    assert len(failed) == 2, done.err
    two.server.resume()
    succeed("livecopy", source, one, two)
    see_whole(two, large=LARGE, small=SMALL)


@pytest.mark.parametrize("after", [None, 3 * MIB], ids=["at once", "in the middle"])
def test_a_target_that_takes_nothing_more(
    source: Service, target: Service, after: int | None
) -> None:
    image = source.put("large", LARGE)
    source.put("small", SMALL)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", image + FILE, cut_body=after, hang=True))
        done = meltemi("livecopy", source, proxy, "--timeout", "10s")
        assert done.code in (3, 6), done.err
        line = done.about("large", image, proxy.url, "failed")
        assert "10 seconds" in line
    target.wait_for(image, "queued")
    succeed("livecopy", source, target)
    see_whole(target, large=LARGE, small=SMALL)


def test_a_target_that_is_killed(source: Service, targets: list[Service]) -> None:
    """It leaves its image in `saving` for ever: the next run brings it under a new id."""
    one, two, _ = targets
    source.put("large", LARGE, visibility="public")
    source.put("small", SMALL)
    with Proxy(two.url) as proxy:
        proxy.fault(Fault("PUT", FILE, before=two.server.kill, at=2 * MIB))
        done = meltemi("livecopy", source, one, proxy)
    assert done.code in (3, 6), done.err
    see_whole(one, large=LARGE, small=SMALL)
    two.server.start()
    succeed("livecopy", source, two)
    see_whole(two, large=LARGE, small=SMALL)
    assert [i["visibility"] for i in two.images() if i["status"] != "active"] in ([], ["private"])
    # Where it had all of the data when it was killed, it has the image twice.
    again = succeed("livecopy", source, two, "-f", "json").rows
    assert {row["Result"] for row in again} <= {"left out"}


def test_a_database_that_restarts(source: Service, target: Service, postgres: Postgres) -> None:
    """During an upload, while Glance holds nothing in it open, nobody notices."""
    large = source.put("large", LARGE, visibility="public")
    source.put("small", SMALL)

    def restart() -> None:
        stored = target.server.store / large
        while not (stored.exists() and stored.stat().st_size):
            time.sleep(0.02)
        postgres.stop()
        postgres.start()

    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, before=restart, at=MIB))
        succeed("livecopy", source, proxy, "--transfers", 1)
        assert len(proxy.of("PUT", FILE)) == 2
    see_whole(target, large=LARGE, small=SMALL)
    assert target.named("large")["visibility"] == "public"


def test_a_token_refused_once(source: Service, target: Service) -> None:
    """Without an identity service there is no other token to be had: one line says so."""
    source.put("small", SMALL)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, answer=401))
        done = meltemi("livecopy", source, proxy, "--targettoken", "old")
        assert done.code == 5, done.err
        done.about("small", proxy.url, "failed")

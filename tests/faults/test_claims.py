"""A second replicator leaves alone what a living one has claimed, and takes over what none has."""

import os
import signal
import socket
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

from lab import images
from tests.support.cli import meltemi, running, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, PATIENCE, Fault, Proxy

MIB = 2**20
DATA = images.random_bytes(2 * MIB, 3)


def claim(until: timedelta, holder: str) -> str:
    moment = datetime.now(UTC) + until
    return f"claimed until {moment:%Y-%m-%dT%H:%M:%SZ} by {holder}"


def set_claim(target: Service, image: str, text: str) -> None:
    target.change(image, meltemi_replicated_at=text)


def see_alone(source: Service, target: Service, image: str) -> None:
    """See that a run leaves the image queued and says why."""
    done = meltemi("livecopy", source, target, "-f", "json")
    assert done.code == 1, done.err
    [row] = [row for row in done.rows if row["ID"] == image]
    assert row["Result"] == "busy"
    assert target.show(image)["status"] == "queued"


def test_a_replicator_that_was_frozen_goes_on(source: Service, target: Service) -> None:
    image = source.put("image", DATA, visibility="public")
    other = source.put("other", b"other")
    thaw = threading.Event()
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", image + FILE, times=1, before=partial(thaw.wait, PATIENCE)))
        with running("livecopy", source, proxy) as first:
            proxy.wait_for("PUT", image + FILE)
            os.kill(first.pid, signal.SIGSTOP)
            see_alone(source, target, image)
            os.kill(first.pid, signal.SIGCONT)
            thaw.set()
            assert first.wait().code == 0
    assert target.data(image) == DATA
    assert target.data(other) == b"other"
    assert target.show(image)["visibility"] == "public"


def test_a_claim_that_expired_is_taken_over(source: Service, target: Service) -> None:
    image = source.put("image", DATA, visibility="public")
    thaw = threading.Event()
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, times=1, before=partial(thaw.wait, PATIENCE)))
        with running("livecopy", source, proxy) as first:
            proxy.wait_for("PUT", FILE)
            os.kill(first.pid, signal.SIGSTOP)
            expired = claim(timedelta(seconds=-1), f"{socket.gethostname()}/{first.pid}")
            set_claim(target, image, expired)
            succeed("livecopy", source, target)
            os.kill(first.pid, signal.SIGCONT)
            thaw.set()
            done = first.wait()
    assert done.code in (0, 3), done.err
    assert target.data(image) == DATA
    assert target.show(image)["visibility"] == "public"
    assert len(target.images()) == 1
    assert succeed("livecopy", source, target).idle


def test_a_claim_of_another_host_holds_until_it_expires(source: Service, target: Service) -> None:
    image = source.put("image", DATA)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, hang=True))
        with running("livecopy", source, proxy) as first:
            proxy.wait_for("PUT", FILE)
            first.process.kill()
    set_claim(target, image, claim(timedelta(minutes=5), "elsewhere/1"))
    see_alone(source, target, image)
    set_claim(target, image, claim(timedelta(seconds=-1), "elsewhere/1"))
    succeed("livecopy", source, target)
    assert target.data(image) == DATA


def test_nobody_can_claim_for_ever(source: Service, target: Service) -> None:
    """A claim that no replicator can have made, or nonsense in its place, holds up nothing."""
    for n, text in enumerate(
        [claim(timedelta(days=999), "elsewhere/1"), "claimed until tomorrow by me", "claimed", ""]
    ):
        image = source.put(f"image {n}", DATA)
        with Proxy(target.url) as proxy:
            proxy.fault(Fault("PUT", FILE, answer=400))
            assert meltemi("livecopy", source, proxy).code == 3
        set_claim(target, image, text)
        succeed("livecopy", source, target)
        assert target.data(image) == DATA

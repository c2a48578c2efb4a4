"""Replicators that die or are told to stop: the next run completes what they left."""

import os
import random
import signal
import time

import pytest

from lab import images
from tests.support.cli import running, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy

MIB = 2**20
LARGE = images.random_bytes(8 * MIB, 2)
INTERRUPTED = "meltemi: interrupted: what is complete stays, the next run does the rest"


def fill(source: Service) -> dict[str, bytes]:
    """Put a few images of different size and visibility there; give their data by id."""
    made = {}
    for n, visibility in enumerate(["public", "private", "community", "public"]):
        data = images.random_bytes(n * MIB + 1000, n)
        made[source.put(f"image {n}", data, visibility=visibility, protected=n == 0)] = data
    return made


def see_exact(source: Service, target: Service, made: dict[str, bytes]) -> None:
    """See every image once, byte for byte and as visible as its source; no id is burnt."""
    assert target.statuses() == dict.fromkeys(made, "active")
    assert {key: target.data(key) for key in made} == made
    for key in made:
        wanted, found = source.show(key), target.show(key)
        assert found["visibility"] == wanted["visibility"]
        assert found["protected"] == wanted["protected"]
    assert target.sql("SELECT count(*) FROM images WHERE deleted") == "0"
    assert succeed("livecopy", source, target).idle


def see_nothing_half_made(target: Service, made: dict[str, bytes]) -> None:
    """See that whatever is active is whole, and that what is public is active."""
    for image in target.images():
        if image["status"] == "active":
            assert target.data(image["id"]) == made[image["id"]]
        else:
            assert image["visibility"] == "private"


def test_kill_at_any_moment(source: Service, target: Service) -> None:
    made = fill(source)
    chance = random.Random(7)
    killed = 0
    for _ in range(12):
        with running("livecopy", source, target, "--bwlimit", "1M", "--transfers", "2") as run:
            time.sleep(chance.uniform(0.3, 1.5))
            killed += run.alive
            run.process.kill()
        see_nothing_half_made(target, made)
    assert killed > 6, "the runs were through before they could be killed"
    succeed("livecopy", source, target)
    see_exact(source, target, made)


STAGES = [
    Fault("POST", "images$", times=1),
    Fault("POST", "images$", times=1, cut_answer=0, hang=True),
    Fault("PUT", FILE, times=1),
    Fault("PUT", FILE, times=1, cut_body=3 * MIB, hang=True),
    Fault("PUT", FILE, times=1, cut_answer=-1, hang=True),
    Fault("PATCH", "", times=1),
    Fault("PATCH", "", times=1, cut_answer=0, hang=True),
]
NAMES = [
    *("before registering", "registered", "before sending", "sending"),
    *("sent", "before publishing", "published"),
]


@pytest.mark.parametrize("stage", STAGES, ids=NAMES)
def test_kill_at_a_stage(source: Service, target: Service, stage: Fault) -> None:
    image = source.put("image", LARGE, visibility="public", protected=True)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault(**{**vars(stage), "times": 1}))
        with running("livecopy", source, proxy) as run:
            proxy.wait_for(stage.method, stage.path, hanging=stage.hang)
            run.process.kill()
            run.process.wait()
    see_nothing_half_made(target, {image: LARGE})
    succeed("livecopy", source, target)
    see_exact(source, target, {image: LARGE})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_is_one_line(
    source: Service, target: Service, number: int, times: int
) -> None:
    image = source.put("image", LARGE, visibility="public")
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, cut_body=3 * MIB, hang=True))
        with running("livecopy", source, proxy) as run:
            proxy.wait_for("PUT", FILE, bytes_moved=3 * MIB)
            for _ in range(times):
                run.send(number)
                time.sleep(0.02)
            done = run.wait()
    assert done.code == 130, done.err
    assert [line for line in done.lines if line and "action" not in line] == [INTERRUPTED]
    succeed("livecopy", source, target)
    see_exact(source, target, {image: LARGE})


def test_an_interrupt_while_reading_lists(source: Service, target: Service) -> None:
    source.put("image", LARGE)
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", "images$", hang=True))
        with running("livecopy", proxy, target) as run:
            proxy.wait_for("GET", "images$")
            run.send(signal.SIGINT)
            done = run.wait()
    assert done.code == 130
    assert done.err.strip() == INTERRUPTED
    assert target.images() == []


def test_stdout_that_closes(source: Service) -> None:
    """`meltemi … | head -1` ends quietly."""
    for n in range(3):
        source.put(f"image {n}", b"")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with running("compare", source, "./nothing", stdout=writing) as run:
            done = run.wait()
    finally:
        os.close(writing)
    assert (done.code, done.err) == (141, ""), done.err


@pytest.mark.parametrize("again", range(3))
def test_two_replicators_at_once(source: Service, target: Service, again: int) -> None:
    made = fill(source)
    words = ("livecopy", source, target, "--bwlimit", "20M", "--transfers", again + 1)
    with running(*words) as first, running(*words) as second:
        ends = [first.wait(), second.wait()]
    see_nothing_half_made(target, made)
    assert {end.code for end in ends} <= {0, 1, 3}, [end.err for end in ends]
    succeed("livecopy", source, target)
    see_exact(source, target, made)

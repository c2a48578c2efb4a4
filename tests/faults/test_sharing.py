"""Several targets share one reading; none of them can hold up the others."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from lab import images
from meltemi.replication.fanout import WINDOW
from tests.support.cli import meltemi, running, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, PATIENCE, Fault, Proxy

MIB = 2**20
LARGE = images.random_bytes(8 * MIB, 5)
VAST = LARGE * 6
"""More than the window by which one target may lag behind the others."""


def order(lines: Sequence[str], *places: object) -> list[int]:
    """Give the places of the finished copies in order, by their index."""
    ends = [line for line in lines if ": done" in line]
    return [n for line in ends for n, place in enumerate(places) if f" {place}: " in line]


def test_the_source_is_read_once(source: Service, targets: list[Service]) -> None:
    sizes = [MIB * n + 17 for n in range(6)]
    made = {source.put(f"image {n}", LARGE[:n]): LARGE[:n] for n in sizes}
    with Proxy(source.url) as proxy:
        succeed("livecopy", proxy, *targets)
        reads = proxy.of("GET", FILE)
        assert sum(read.answered for read in reads) == sum(sizes)
        assert len(reads) == len(sizes)
    for target in targets:
        assert {key: target.data(key) for key in made} == made


def test_a_slow_target_delays_no_other(source: Service, targets: list[Service]) -> None:
    vast = source.put("vast", VAST)
    for n in range(4):
        source.put(f"image {n}", LARGE[: n * MIB])
    slow, *fast = targets
    thaw = threading.Event()
    with Proxy(slow.url) as proxy, Proxy(source.url) as counted:
        # The slow target takes the beginning with the others, and nothing more until they are done.
        begun = partial(proxy.wait_for, "PUT", vast + FILE)
        counted.fault(Fault("GET", vast + FILE, times=1, before=begun, at=8 * MIB))
        proxy.fault(Fault("PUT", vast + FILE, before=partial(thaw.wait, PATIENCE)))
        lines: list[str] = []
        with running("livecopy", counted, proxy, *fast, "--timeout", f"{PATIENCE}s") as run:
            for line in run.lines():
                lines.append(line)
                if len(order(lines, *fast)) == 10:
                    thaw.set()
            thaw.set()
            done = run.wait()
        assert done.code == 0, lines
        assert order(lines, proxy, *fast)[-1] == 0
        assert sorted(order(lines, proxy, *fast)) == [0] * 5 + [1] * 5 + [2] * 5
        # On a busy machine others may fall behind as well, and read on by themselves.
        _, *own = counted.of("GET", vast + FILE)
        assert any(0 < one.offset <= len(VAST) - WINDOW for one in own)
    for target in targets:
        assert target.hash(vast) == source.hash(vast)


def test_a_target_that_takes_nothing_delays_no_other(
    source: Service, targets: list[Service]
) -> None:
    vast = source.put("vast", VAST)
    dead, *fast = targets
    with Proxy(dead.url) as proxy, Proxy(source.url) as counted:
        proxy.fault(Fault("PUT", FILE, hang=True))
        done = meltemi("livecopy", counted, proxy, *fast, "--timeout", "10s")
        assert done.code in (3, 6), done.err
        ends = [line for line in done.lines if ": done" in line or ": failed" in line]
        assert proxy.url in ends[-1]
        assert len(ends) == 3
        assert counted.of("GET", FILE)[0].answered == len(VAST)
    for target in fast:
        assert target.hash(vast) == source.hash(vast)


def test_a_target_that_fails_costs_the_others_nothing(
    source: Service, targets: list[Service]
) -> None:
    image = source.put("image", LARGE)
    with ExitStack() as stack:
        bad = stack.enter_context(Proxy(targets[0].url))
        counted = stack.enter_context(Proxy(source.url))
        bad.fault(Fault("PUT", FILE, cut_body=2 * MIB, times=1))
        succeed("livecopy", counted, bad, *targets[1:])
        assert [read.offset for read in counted.of("GET", FILE)] == [0, 0]
        assert counted.of("GET", FILE)[0].answered == len(LARGE)
    for target in targets:
        assert target.data(image) == LARGE


def test_one_source_error_is_told_once_a_target(source: Service, targets: list[Service]) -> None:
    image = source.put("image", LARGE)
    (source.server.store / image).write_bytes(LARGE[::-1])
    done = meltemi("livecopy", source, *targets)
    assert done.code == 3
    for target in targets:
        assert "not the one on record" in done.about(image, target.url)
        target.wait_for(image, "queued")
        assert list(target.statuses()) == [image]

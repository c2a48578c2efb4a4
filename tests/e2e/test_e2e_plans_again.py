"""A saved plan that is carried out again, after it was, or after runs of it were killed."""

import threading
from functools import partial

import pytest

from tests.support.cli import PATIENCE, User, running
from tests.support.glance import Service, some_data
from tests.support.proxy import FILE, Fault, Proxy

pytestmark = pytest.mark.services

Pair = tuple[Service, Service]
DATA = some_data(41, 3_000_000)


def configure(user: User, source: Service, target: object, name: str, policy: str) -> None:
    """Write a meltemi.yaml with one route that takes another id where one is taken."""
    user.write(
        "meltemi.yaml",
        f"""
version: 1
libraries:
  athens: {{url: "{source.url}"}}
  crete: {{url: "{target}"}}
routes:
  golden: {{from: athens, to: crete, match: {{name: "{name}*"}}, on_conflict: {policy}}}
""",
    )


def replicas(target: Service, name: str) -> list[str]:
    """Give the ids of the images of this test that are replicas."""
    found = [i for i in target.images() if (i["name"] or "").startswith(name)]
    return [image["id"] for image in found if "meltemi_source" in image]


@pytest.mark.parametrize("policy", ["rename", "replace"])
def test_a_plan_that_was_carried_out_makes_nothing_more(
    user: User, others: Pair, name: str, policy: str
) -> None:
    source, target = others
    configure(user, source, target, name, policy)
    image = source.put(f"{name}a", DATA)
    target.put("theirs", b"theirs", id=image)
    user.meltemi("plan", "--out", "p")
    row = user.rows("apply", "p")[0]
    [replica] = replicas(target, name)
    assert row["Detail"] == f"under the id {replica}"
    for _ in range(2):
        assert user.rows("apply", "p", code=4)[0]["Result"] == "stale"
        assert replicas(target, name) == [replica]
    assert user.rows("sync") == []


def test_runs_of_a_plan_that_were_killed_make_one_image(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    image = source.put(f"{name}a", DATA)
    target.put("theirs", b"theirs", id=image)
    dead = threading.Event()
    with Proxy(target.url) as proxy:
        configure(user, source, proxy, name, "rename")
        user.meltemi("plan", "--out", "p")
        killed = partial(dead.wait, PATIENCE)
        proxy.fault(Fault("PUT", FILE, before=killed, at=1_000_000, cut_body=1_000_000))
        with running("apply", "p", cwd=user.folder) as run:
            proxy.wait_for("PUT", FILE, bytes_moved=1_000_000)
            run.process.kill()
            run.process.wait()
            dead.set()
        [replica] = replicas(target, name)
        proxy.fault(Fault("GET", f"images/{replica}$", hang=True))
        with running("apply", "p", cwd=user.folder) as run:
            proxy.wait_for("GET", f"images/{replica}$")
            run.process.kill()
            run.process.wait()
        proxy.fault()
        assert [row["Result"] for row in user.rows("apply", "p", code=4)] == ["stale"]
        assert replicas(target, name) == [replica]
        user.meltemi("sync")
        assert replicas(target, name) == [replica]
    assert target.data(replica) == DATA


def test_an_id_that_is_used_up_is_not_replaced_by_another_unseen(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    configure(user, source, target, name, "skip")
    image = source.put(f"{name}a", DATA)
    target.put("burnt", b"", id=image)
    target.delete(image)
    user.meltemi("plan", "--out", "p")
    done = user.meltemi("apply", "p", "-f", "json", code=4)
    assert done.rows[0]["Result"] == "stale"
    assert "sync" in done.about(image, "stale")
    assert replicas(target, name) == []
    user.meltemi("sync")
    [replica] = replicas(target, name)
    assert target.data(replica) == DATA

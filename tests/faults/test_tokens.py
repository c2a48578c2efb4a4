"""Tokens that end during a run."""

import time
from collections.abc import Iterator
from functools import partial

import pytest

from lab import Cloud, images
from tests.support.cli import meltemi, succeed
from tests.support.glance import RefusedError, Service
from tests.support.proxy import FILE, Fault, Proxy

pytestmark = pytest.mark.services

COUNT = 4
DATA = images.random_bytes(3_000_000, seed=9)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Give a cloud whose tokens live for twenty seconds."""
    with Cloud(tmp_path_factory.mktemp("brief"), token_seconds=20) as cloud:
        yield cloud


def new_token(cloud: Cloud) -> str:
    keystone = cloud.keystone
    return keystone.token(keystone.admin, keystone.password, "admin")


def region(cloud: Cloud, name: str, token: str = "") -> Service:
    token = token or new_token(cloud)
    return Service(cloud.regions[name], cloud.postgres, token=token)


def is_taken(place: Service) -> bool:
    """Say whether a region still takes the token."""
    try:
        place.call("GET", "/v2/images?limit=1")
    except RefusedError as error:
        if error.status != 401:
            raise
        return False
    return True


def wait_until_over(cloud: Cloud, token: str) -> None:
    """Wait until neither region takes a token any more."""
    for name in cloud.regions:
        while is_taken(region(cloud, name, token)):
            time.sleep(0.5)


def test_a_run_outlives_its_tokens(brief: Cloud) -> None:
    ids = [region(brief, "RegionOne").put(f"long {number}", DATA) for number in range(COUNT)]
    env = {"OS_CLIENT_CONFIG_FILE": str(brief.clouds_yaml)}
    limits = ("--transfers", 1, "--bwlimit", "400k")  # some seven seconds an image
    done = succeed("livecopy", "admin:RegionOne", "credential:RegionTwo", *limits, env=env)
    assert "failed" not in done.out + done.err
    for image_id in ids:
        assert region(brief, "RegionTwo").data(image_id) == DATA


def test_a_given_token_that_has_ended(brief: Cloud) -> None:
    """It cannot be renewed: one line says so, for whichever end it was given."""
    token = new_token(brief)
    one, two = (brief.regions[name].url for name in ("RegionOne", "RegionTwo"))
    succeed("size", one, "--token", token)
    wait_until_over(brief, token)
    env = {"OS_CLIENT_CONFIG_FILE": str(brief.clouds_yaml)}
    for words in (
        ("size", one, "--token", token),
        ("livecopy", one, "admin:RegionTwo", "--sourcetoken", token),
        ("livecopy", "admin:RegionOne", two, "--targettoken", token),
    ):
        done = meltemi(*words, code=5, env=env)
        assert "the token is expired or not valid here: give another one" in done.complaint


def test_a_given_token_that_ends_during_a_run(brief: Cloud) -> None:
    """What arrived stays, what did not is told and nowhere half; another token takes it up."""
    ids = [region(brief, "RegionOne").put(f"cut {number}", DATA) for number in range(COUNT)]
    first, second, *_ = sorted(ids)
    with Proxy(brief.regions["RegionTwo"].url) as proxy:
        words = ("livecopy", brief.regions["RegionOne"].url, proxy, "--match", "name=cut *")
        token = new_token(brief)
        proxy.fault(Fault("PUT", second + FILE, before=partial(wait_until_over, brief, token)))
        done = meltemi(*words, "--transfers", 1, "--token", token, code=5)
        ends = [line for line in done.lines if ": failed: " in line]
        assert ends
        assert all("the token is expired or not valid here" in line for line in ends), done.err
        two = region(brief, "RegionTwo")
        assert two.data(first) == DATA
        for image in two.images():
            if image["name"].startswith("cut") and image["status"] != "active":
                assert (image["status"], image["visibility"]) == ("queued", "private")
        proxy.fault()
        succeed(*words, "--token", new_token(brief))
    two = region(brief, "RegionTwo")
    assert all(two.data(image) == DATA for image in ids)

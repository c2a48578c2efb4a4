"""Tokens that end during a run."""

import time
from collections.abc import Iterator

import pytest

from lab import Cloud, images
from tests.support.cli import meltemi, succeed
from tests.support.glance import Service

pytestmark = pytest.mark.services

COUNT = 4
DATA = images.random_bytes(3_000_000, seed=9)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Give a cloud whose tokens live for ten seconds."""
    with Cloud(tmp_path_factory.mktemp("brief"), token_seconds=10) as cloud:
        yield cloud


def region(cloud: Cloud, name: str) -> Service:
    keystone = cloud.keystone
    token = keystone.token(keystone.admin, keystone.password, "admin")
    return Service(cloud.regions[name], cloud.postgres, token=token)


def test_a_run_outlives_its_tokens(brief: Cloud) -> None:
    ids = [region(brief, "RegionOne").put(f"long {number}", DATA) for number in range(COUNT)]
    env = {"OS_CLIENT_CONFIG_FILE": str(brief.clouds_yaml)}
    limits = ("--transfers", 1, "--bwlimit", "500k")  # some six seconds an image
    done = succeed("livecopy", "admin:RegionOne", "credential:RegionTwo", *limits, env=env)
    assert "failed" not in done.out + done.err
    for image_id in ids:
        assert region(brief, "RegionTwo").data(image_id) == DATA


def test_a_given_token_that_has_ended(brief: Cloud) -> None:
    """It cannot be renewed: one line says so, for whichever end it was given."""
    keystone = brief.keystone
    token = keystone.token(keystone.admin, keystone.password, "admin")
    one, two = (brief.regions[name].url for name in ("RegionOne", "RegionTwo"))
    succeed("size", one, "--token", token)
    time.sleep(11)
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
    keystone = brief.keystone
    urls = [brief.regions[name].url for name in ("RegionOne", "RegionTwo")]
    words = ("livecopy", *urls, "--match", "name=cut *")
    limits = ("--transfers", 1, "--bwlimit", "500k")
    token = keystone.token(keystone.admin, keystone.password, "admin")
    done = meltemi(*words, *limits, "--token", token, code=5)
    ends = [line for line in done.lines if ": failed: " in line]
    assert ends
    assert all("the token is expired or not valid here" in line for line in ends), done.err
    two = region(brief, "RegionTwo")
    for image in two.images():
        if image["name"].startswith("cut") and image["status"] != "active":
            assert (image["status"], image["visibility"]) == ("queued", "private")
    token = keystone.token(keystone.admin, keystone.password, "admin")
    succeed(*words, "--token", token)
    two = region(brief, "RegionTwo")
    assert all(two.data(image) == DATA for image in ids)

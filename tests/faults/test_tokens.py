"""Tokens that end during a run."""

from collections.abc import Iterator

import pytest

from lab import Cloud, images
from tests.support.cli import succeed
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

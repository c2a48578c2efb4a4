"""The cloud: accounts, regions, the client's configuration."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab import Cloud, Glance, LabError, images
from lab.cloud import MEMBER, PROJECT


def test_both_regions_take_an_image_from_the_client(cloud: Cloud, tmp_path: Path) -> None:
    data = images.random_bytes(100_000)
    source, copy = tmp_path / "data", tmp_path / "copy"
    source.write_bytes(data)
    for region in cloud.regions:
        made = cloud.openstack(
            *("image", "create", "--disk-format", "raw", "--file", str(source)),
            *("-f", "value", "-c", "id", "one"),
            region=region,
        )
        cloud.openstack("image", "save", "--file", str(copy), made.strip(), region=region)
        assert copy.read_bytes() == data
        stored = cloud.regions[region].store / made.strip()
        assert stored.read_bytes() == data


def test_a_member_may_not_publish(cloud: Cloud) -> None:
    create = ("image", "create", "--disk-format", "raw", "two")
    for name in ("member", "credential"):
        cloud.openstack(*create, cloud=name)
        with pytest.raises(LabError, match="403"):
            cloud.openstack(*create, "--public", cloud=name)


def test_a_token_opens_and_its_absence_does_not(cloud: Cloud) -> None:
    url = f"{cloud.regions['RegionTwo'].url}/v2/images"
    token = cloud.keystone.token("admin", cloud.keystone.password, "admin")
    request = urllib.request.Request(url, headers={"X-Auth-Token": token})
    with urllib.request.urlopen(request) as answer:
        assert "images" in json.load(answer)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    assert refused.value.code == 401
    refused.value.close()


def test_limits_hold(cloud: Cloud, tmp_path: Path) -> None:
    with Glance(
        tmp_path,
        name="limited",
        postgres=cloud.postgres,
        keystone=cloud.keystone,
        region="Limited",
        limits={"image_count_total": 1},
        processes=1,
    ) as glance:
        token = cloud.keystone.token(MEMBER, cloud.keystone.password, PROJECT)
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{glance.url}/v2/images", b"{}", headers)
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 201
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 413
        refused.value.close()


def test_the_client_reads_every_other_kind(cloud: Cloud) -> None:
    kinds: dict[str, Glance] = {
        "anonymous": cloud.anonymous(),
        "secure": cloud.secure(),
        "old": cloud.old(),
    }
    for name in kinds:
        cloud.openstack("image", "create", "--disk-format", "raw", name, cloud=name)
        assert name in cloud.openstack("image", "list", "-f", "value", cloud=name)

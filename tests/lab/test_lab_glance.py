"""Each kind of Glance takes an image and gives it back."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import NEW, OLD, Authority, Glance, Postgres, images

BLOCK = 1 << 19


def call(
    method: str,
    url: str,
    data: Any = None,
    *,
    token: str = "",
    kind: str = "application/octet-stream",
    tls: ssl.SSLContext | None = None,
) -> bytes:
    request = urllib.request.Request(url, method=method, data=data)
    request.add_header("Content-Type", kind)
    if token:
        request.add_header("X-Auth-Token", token)
    with urllib.request.urlopen(request, context=tls) as answer:
        body: bytes = answer.read()
        return body


def create(url: str, disk_format: str = "raw", **options: Any) -> str:
    facts = json.dumps({"disk_format": disk_format, "container_format": "bare"}).encode()
    made = call("POST", f"{url}/v2/images", facts, kind="application/json", **options)
    return f"{url}/v2/images/{json.loads(made)['id']}"


def round_trip(url: str, data: bytes, **options: Any) -> None:
    image = create(url, **options)
    call("PUT", f"{image}/file", data, **options)
    assert call("GET", f"{image}/file", **options) == data
    assert json.loads(call("GET", image, **options))["status"] == "active"


@pytest.mark.parametrize("environment", [NEW, OLD])
def test_new_and_old_keep_what_they_are_given(
    environment: str, postgres: Postgres, tmp_path: Path
) -> None:
    data = images.random_bytes(3 * BLOCK + 17)
    with Glance(tmp_path, postgres=postgres, environment=environment) as glance:
        round_trip(glance.url, data)
        image = create(glance.url)

        def blocks() -> Iterator[bytes]:
            for start in range(0, len(data), BLOCK):
                yield data[start : start + BLOCK]

        call("PUT", f"{image}/file", blocks())
        assert call("GET", f"{image}/file") == data


def test_a_real_image_passes_for_what_it_is(postgres: Postgres, tmp_path: Path) -> None:
    data = images.grub_iso().read_bytes()
    with Glance(tmp_path, postgres=postgres, processes=1) as glance:
        call("PUT", f"{create(glance.url, 'iso')}/file", data)
        with pytest.raises(urllib.error.HTTPError) as refused:
            call("PUT", f"{create(glance.url, 'qcow2')}/file", data)
        assert refused.value.code == 415
        refused.value.close()


def test_restarted_glance_still_has_its_images(postgres: Postgres, tmp_path: Path) -> None:
    data = images.random_bytes(BLOCK)
    with Glance(tmp_path, postgres=postgres, processes=1) as glance:
        image = create(glance.url)
        call("PUT", f"{image}/file", data)
        for end in (glance.stop, glance.kill):
            end()
            with pytest.raises(urllib.error.URLError):
                call("GET", image)
            glance.start()
            assert call("GET", f"{image}/file") == data


def test_a_file_is_database_enough_for_one_writer(tmp_path: Path) -> None:
    with Glance(tmp_path, processes=1, threads=1) as glance:
        round_trip(glance.url, images.random_bytes(BLOCK))


def test_options_and_policy_reach_glance(postgres: Postgres, tmp_path: Path) -> None:
    config = {"DEFAULT": {"image_size_cap": 1000}}
    with Glance(
        tmp_path, postgres=postgres, processes=1, config=config, policy={"delete_image": "!"}
    ) as glance:
        image = create(glance.url)
        with pytest.raises(urllib.error.HTTPError) as large:
            call("PUT", f"{image}/file", bytes(2000))
        assert large.value.code == 413
        large.value.close()
        with pytest.raises(urllib.error.HTTPError) as denied:
            call("DELETE", image)
        assert denied.value.code == 403
        denied.value.close()


def test_only_the_right_certificate_is_trusted(postgres: Postgres, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    trust = ssl.create_default_context(cafile=str(authority.bundle))
    data = images.random_bytes(3 * BLOCK)
    with Glance(
        tmp_path / "a", postgres=postgres, processes=1, tls=authority.certificate()
    ) as glance:
        assert glance.url.startswith("https://")
        round_trip(glance.url, data, tls=trust)
        with pytest.raises(urllib.error.URLError, match="unable to get local issuer"):
            call("GET", glance.url)
    with (
        Glance(
            tmp_path / "b", postgres=postgres, processes=1, tls=authority.wrong_host()
        ) as glance,
        pytest.raises(urllib.error.URLError, match="certificate is not valid for"),
    ):
        call("GET", glance.url, tls=trust)

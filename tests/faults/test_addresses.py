"""Libraries that cannot be opened: one line that says which and why, and the right exit code."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import Cloud, Postgres
from lab.process import free_port
from tests.support.cli import Done, meltemi, succeed
from tests.support.glance import Service
from tests.support.proxy import Fault, Proxy, answering
from tests.support.services import Fresh

V1_ONLY = {"versions": [{"id": "v1.1", "status": "CURRENT"}, {"id": "v1.0", "status": "SUPPORTED"}]}


def at(cloud: Cloud) -> dict[str, str]:
    return {"OS_CLIENT_CONFIG_FILE": str(cloud.clouds_yaml)}


def refused(code: int, *texts: str, done: Done) -> None:
    """See that a run ended with a code and one line that holds these texts; it printed nothing."""
    line = done.complaint
    assert done.code == code, line
    assert not [text for text in texts if text not in line], line
    assert not done.out


@pytest.fixture(scope="module")
def wrong_password(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    clouds = yaml.safe_load(cloud.clouds_yaml.read_text())
    clouds["clouds"]["admin"]["auth"]["password"] = "guessed"
    path = tmp_path_factory.mktemp("clouds") / "clouds.yaml"
    path.write_text(yaml.safe_dump(clouds))
    yield path
    shutil.rmtree(path.parent)


def test_an_unknown_cloud_is_named_beside_those_there_are(cloud: Cloud) -> None:
    done = meltemi("size", "nowhere", env=at(cloud))
    refused(2, "nowhere", "admin", "member", done=done)


def test_an_unknown_cloud_where_there_is_no_file(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = meltemi("size", "nowhere", env=home, cwd=tmp_path)
    refused(2, "nowhere", "clouds.yaml", done=done)


def test_an_unknown_region_is_named_beside_those_there_are(cloud: Cloud) -> None:
    done = meltemi("size", "admin:Atlantis", env=at(cloud))
    refused(2, "admin:Atlantis", "RegionOne", "RegionTwo", done=done)


def test_a_wrong_password(cloud: Cloud, wrong_password: Path) -> None:
    env = {**at(cloud), "OS_CLIENT_CONFIG_FILE": str(wrong_password)}
    refused(5, "admin:RegionOne", "credentials", done=meltemi("size", "admin:RegionOne", env=env))


def test_a_wrong_password_at_one_target_leaves_the_other(
    cloud: Cloud, wrong_password: Path, source: Service, target: Service
) -> None:
    image = source.put("good", b"good")
    env = {**at(cloud), "OS_CLIENT_CONFIG_FILE": str(wrong_password)}
    done = meltemi("livecopy", source, target, "admin:RegionOne", env=env)
    assert done.code == 5
    assert "admin:RegionOne" in done.err
    assert target.data(image) == b"good"


def test_no_identity_service_answers(cloud: Cloud, tmp_path: Path) -> None:
    clouds = yaml.safe_load(cloud.clouds_yaml.read_text())
    clouds["clouds"]["admin"]["auth"]["auth_url"] = f"http://127.0.0.1:{free_port()}/v3"
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump(clouds))
    done = meltemi("size", "admin:RegionOne", env={"OS_CLIENT_CONFIG_FILE": str(path)})
    refused(6, "admin:RegionOne", "identity", done=done)


@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAABn0tAt0k3n"])
def test_a_token_that_is_missing_or_wrong(cloud: Cloud, token: str) -> None:
    url = cloud.regions["RegionOne"].url
    words = ["--token", token] if token else []
    refused(5, url, "token", done=meltemi("size", url, *words))


def test_a_token_that_was_revoked(cloud: Cloud) -> None:
    url, keystone = cloud.regions["RegionOne"].url, cloud.keystone
    keystone.user("leaver", "secret", "leavers")
    token = keystone.token("leaver", "secret", "leavers")
    user = keystone.ensure("user", "leaver", {})
    keystone.call("PATCH", f"/users/{user}", {"user": {"enabled": False}})
    refused(5, url, "token", "expired", done=meltemi("size", url, "--token", token))


def test_nothing_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    refused(6, url, done=meltemi("size", url))


def test_no_such_host() -> None:
    refused(6, "nowhere.invalid:9292", done=meltemi("size", "nowhere.invalid:9292"))


def test_a_target_that_does_not_answer_leaves_the_other(source: Service, target: Service) -> None:
    image = source.put("good", b"good")
    url = f"http://127.0.0.1:{free_port()}"
    done = meltemi("livecopy", source, target, url)
    assert done.code == 6
    assert url in done.err
    assert target.data(image) == b"good"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("<html><title>It works!</title><h1>It works!</h1></html>", 200),
        ("<html><h1>Not Found</h1></html>", 404),
        ("moved", 302),
        ("[]", 200),
        ('{"versions": null}', 200),
        ('{"versions": [1, 2]}', 200),
        ('{"versions": []}', 300),
        ('{"v": "' + "x" * 3_000_000 + '"}', 200),
    ],
    ids=["page", "404", "redirect", "list", "null", "numbers", "none", "huge"],
)
def test_a_url_that_is_no_glance(body: str, status: int) -> None:
    with answering(body, status) as url:
        refused(6, url, done=meltemi("size", url))


def test_the_url_of_keystone(cloud: Cloud) -> None:
    url = cloud.keystone.url
    refused(6, url.removesuffix("/v3"), "Image", done=meltemi("size", url))


def test_the_port_of_a_database(postgres: Postgres) -> None:
    url = f"http://127.0.0.1:{postgres.port}"
    refused(6, url, done=meltemi("size", url, "--timeout", "2s"))


@pytest.mark.parametrize(
    "body", ["{}", '{"images": 5}', '{"images": [{"id": "x"}]}', "[]", "nonsense"]
)
def test_a_list_that_is_none(body: str) -> None:
    v2 = json.dumps({"versions": [{"id": "v2.17", "status": "CURRENT"}]})
    versions = Fault("GET", "^/$", answer=300, body=v2)
    with Proxy("127.0.0.1:1", [versions, Fault("GET", "", answer=200, body=body)]) as proxy:
        refused(6, proxy.url, done=meltemi("size", proxy.url))


def test_a_glance_that_speaks_only_v1(target: Service) -> None:
    with answering(json.dumps(V1_ONLY), 300) as url:
        refused(6, url, "v2", "v1.0", "v1.1", done=meltemi("livecopy", url, target))


def test_a_certificate_that_does_not_match(cloud: Cloud, fresh: Fresh) -> None:
    wrong = fresh("wrong", tls=cloud.authority.wrong_host())
    bundle = cloud.authority.bundle
    done = meltemi("size", wrong, "--cacert", bundle)
    refused(6, wrong.url, "certificate", "--insecure", done=done)
    succeed("size", wrong, "--insecure")


def test_a_certificate_of_an_unknown_authority(cloud: Cloud, tmp_path: Path) -> None:
    secure = cloud.secure()
    done = meltemi("size", secure.url)
    refused(6, secure.url, "certificate", "--cacert", done=done)
    succeed("size", secure.url, "--cacert", cloud.authority.bundle)
    empty = tmp_path / "empty.pem"
    empty.touch()
    refused(2, str(empty), done=meltemi("size", secure.url, "--cacert", empty))
    refused(2, "nowhere.pem", done=meltemi("size", secure.url, "--cacert", "nowhere.pem"))


def test_a_service_that_fails(source: Service) -> None:
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", "", answer=503, body="Bad <b>day</b>\n\nhere"))
        refused(6, proxy.url, "503: Bad day here", done=meltemi("size", proxy.url))


def test_a_service_that_never_answers(source: Service) -> None:
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", "", hang=True))
        refused(6, proxy.url, done=meltemi("size", proxy.url, "--timeout", "1s"))
        proxy.fault(Fault("GET", "images", hang=True))
        refused(6, proxy.url, done=meltemi("size", proxy.url, "--timeout", "1s"))


def test_a_source_whose_list_breaks_off_changes_nothing(source: Service, target: Service) -> None:
    source.put("good", b"good")
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", "images", answer=500))
        refused(6, proxy.url, "500", done=meltemi("livecopy", proxy.url, target))
    assert target.images() == []


def test_a_library_that_forbids_the_list(source: Service, target: Service) -> None:
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", "images", answer=403, body="You may not"))
        done = meltemi("livecopy", proxy.url, target)
    assert done.code == 5
    assert "You may not" in done.complaint

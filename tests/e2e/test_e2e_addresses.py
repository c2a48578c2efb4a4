"""Addresses of every form, each end with credentials of its own, and TLS."""

from pathlib import Path

import pytest

from lab import Cloud
from lab.cloud import MEMBER, PROJECT
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def test_a_cloud_without_a_region_takes_its_first(user: User, one: Service, name: str) -> None:
    one.put(f"{name}a", some_data(1))
    assert user.rows("size", "admin", "--match", f"name={name}*")[0]["Images"] == 1
    assert user.rows("size", "admin:RegionTwo", "--match", f"name={name}*")[0]["Images"] == 0


def test_a_region_that_clouds_yaml_does_not_name_is_found_in_the_catalogue(
    user: User, accounts: Accounts, two: Service, name: str
) -> None:
    accounts.add("traveller")
    accounts.change("traveller", region_name="RegionOne", regions=None)
    two.put(f"{name}a", some_data(1), visibility="public")
    size = ("size", "--match", f"name={name}*", "-f", "value", "-c", "images")
    assert user.meltemi(*size, "traveller:RegionTwo").out == "1\n"
    assert user.meltemi(*size, "traveller").out == "0\n"
    refused = user.meltemi(*size, "traveller:RegionNine", code=2).complaint
    assert "RegionOne, RegionTwo" in refused
    assert "unknown cloud" in user.meltemi(*size, "nobody:RegionTwo", code=2).complaint


def test_a_url_may_end_with_the_version(user: User, anonymous: Service, name: str) -> None:
    anonymous.put(f"{name}a", some_data(1))
    for end in ("/", "/v2", "/v2/", "/v2.1"):
        [row] = user.rows("size", f"{anonymous.url}{end}", "--match", f"name={name}*")
        assert row["Images"] == 1


def test_os_variables_are_the_cloud_envvars(
    user: User, cloud: Cloud, one: Service, name: str
) -> None:
    one.put(f"{name}a", some_data(1), visibility="public")
    variables = {
        "OS_AUTH_URL": cloud.keystone.url,
        "OS_USERNAME": MEMBER,
        "OS_PASSWORD": cloud.keystone.password,
        "OS_PROJECT_NAME": PROJECT,
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_REGION_NAME": "RegionOne",
    }
    size = ("size", "--match", f"name={name}*", "-f", "value", "-c", "images")
    assert user.meltemi(*size, "envvars", env=variables).out == "1\n"
    assert user.meltemi(*size, "envvars:RegionTwo", env=variables).out == "0\n"
    variables["OS_CLIENT_CONFIG_FILE"] = str(user.folder / "none.yaml")
    assert user.meltemi(*size, "envvars", env=variables).out == "1\n"


def test_source_and_target_have_credentials_of_their_own(
    user: User, cloud: Cloud, one: Service, two: Service, name: str
) -> None:
    """The source is read by an application credential, the target written by an administrator."""
    project = cloud.keystone.project(PROJECT)
    image = one.put(f"{name}a", some_data(2), owner=project)
    foreign = one.put(f"{name}foreign", some_data(3))
    pair = ("livecopy", "credential:RegionOne", "admin:RegionTwo", "--match", f"name={name}*")
    assert [row["ID"] for row in user.rows(*pair)] == [image]
    assert two.show(image)["owner"] == cloud.keystone.project("admin")
    assert not two.has(foreign)
    assert user.rows(*pair) == []


def test_tokens_for_libraries_given_by_url(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    tokens = {verb: accounts.token("admin") for verb in ("source", "target")}
    image = one.put(f"{name}a", some_data(4), colour="red")
    pair = ("livecopy", one.address, two.url, "--match", f"name={name}*")
    assert "give one with --token" in user.meltemi(*pair, code=5).complaint
    separate = ("--sourcetoken", tokens["source"], "--targettoken", tokens["target"])
    assert [row["Result"] for row in user.rows(*pair, *separate)] == ["done"]
    assert two.data(image) == some_data(4)
    # What was copied with a token is known again by the next run with one.
    one.change(image, colour="blue")
    assert [row["Result"] for row in user.rows(*pair, "--token", tokens["source"])] == ["done"]
    assert two.show(image)["colour"] == "blue"
    assert user.rows(*pair, "-t", tokens["source"]) == []
    assert user.rows("livecopy", "admin", "admin:RegionTwo", *pair[3:]) == []
    wrong = user.meltemi(*pair, "--sourcetoken", tokens["source"], "-t", "nonsense", code=5)
    assert wrong.complaint.startswith(f"meltemi: {two.url}: ")


def test_a_token_does_not_go_with_a_cloud(user: User) -> None:
    assert (
        "a token goes with a URL" in user.meltemi("size", "admin", "--token", "x", code=2).complaint
    )


def test_paths_are_archives(user: User, anonymous: Service, name: str) -> None:
    anonymous.put(f"{name}a", some_data(5))
    home = user.folder / "home"
    home.mkdir()
    places = {
        "./one": user.folder / "one",
        "two/": user.folder / "two",
        f"{user.folder}/three": user.folder / "three",
        "~/four": home / "four",
    }
    env = {"HOME": str(home)}
    words = ("livecopy", anonymous.address, *places, "--match", f"name={name}*")
    assert len(user.rows(*words, env=env)) == len(places)
    assert all(place.is_dir() for place in places.values())
    assert user.rows("size", "~/four", env=env)[0]["Images"] == 1


def test_dump_and_load_take_a_bare_word_for_a_folder(
    user: User, anonymous: Service, name: str
) -> None:
    anonymous.put(f"{name}a", some_data(6))
    user.meltemi("dump", anonymous.address, "archive", "--match", f"name={name}*")
    assert (user.folder / "archive").is_dir()
    assert user.rows("load", anonymous.address, "archive", "--dry-run") == []


def test_tls_is_verified_unless_told_otherwise(
    user: User, cloud: Cloud, secure: Service, anonymous: Service, name: str
) -> None:
    image = secure.put(f"{name}a", some_data(7))
    size = ("size", secure.url, "--match", f"name={name}*")
    refused = user.meltemi(*size, code=6)
    assert "certificate" in refused.complaint
    assert user.rows(*size, "--cacert", cloud.authority.bundle)[0]["Images"] == 1
    assert user.rows(*size, "--insecure")[0]["Images"] == 1
    pair = ("livecopy", secure.url, anonymous.address, "--match", f"name={name}*")
    user.meltemi(*pair, env={"MELTEMI_CACERT": str(cloud.authority.bundle)})
    assert anonymous.data(image) == some_data(7)


def test_certificates_of_clouds_yaml_and_of_meltemi_yaml(
    user: User, accounts: Accounts, cloud: Cloud, secure: Service, name: str
) -> None:
    image = secure.put(f"{name}a", some_data(8))
    entry = {
        "auth_type": "none",
        "auth": {"endpoint": secure.url},
        "image_endpoint_override": secure.url,
    }
    accounts.entry("doubted", entry)
    size = ("size", "--match", f"name={name}*")
    assert user.rows(*size, "secure")[0]["Images"] == 1
    user.meltemi(*size, "doubted", code=6)
    assert user.rows(*size, "doubted", "--insecure")[0]["Images"] == 1
    bundle = Path(user.folder, "ca.pem")
    bundle.write_bytes(cloud.authority.bundle.read_bytes())
    user.write(
        "meltemi.yaml",
        f"""
        version: 1
        libraries:
          secure: {{url: "{secure.url}", cacert: ca.pem}}
          vault: {{path: vault}}
        routes:
          all: {{from: secure, to: vault, match: {{name: "{name}*"}}}}
        """,
    )
    assert [row["ID"] for row in user.rows("sync")] == [image]

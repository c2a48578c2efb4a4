"""meltemi-region.yaml: what it says, what holds without it, and what each mistake is called."""

import re
from pathlib import Path
from typing import Final

import pytest

from meltemi.documents.fields import Entry
from meltemi.errors import ConfigurationError
from meltemi.region.settings import (
    AdoptSettings,
    KeystoneSettings,
    Limits,
    MetricsSettings,
    NotificationSettings,
    PeerSettings,
    Settings,
    TlsSettings,
    WebDownload,
    load_settings,
)

PAGE: Final = Path(__file__).parents[2] / "docs" / "region-settings.md"

FILE = """\
version: 1
host: 0.0.0.0
tls: {certificate: tls/chain.pem, key: /etc/key.pem}
workers: 2
graceful: 90s
data: data
database: postgresql://meltemi@db/region
store: s3://images/region
index: postgresql://meltemi@db/index
keystone:
  auth:
    auth_url: https://keystone.example:5000/v3
    username: meltemi
    password: secret
    user_domain_id: default
    project_name: service
    project_domain_id: default
  cacert: ca.pem
  token_cache_time: 1m
policy_file: policy.yaml
property_protection_file: protections.conf
property_protection_rule_format: policies
limits: {image_property_quota: 5, image_size_cap: 10G}
page: 10
longest_page: 100
hashing_algorithm: sha256
disk_formats: [raw, qcow2]
container_formats: bare
import_methods: []
web_download: {allowed_schemes: https, disallowed_hosts: [a.example], allowed_ports: [443, 8443]}
metrics: {port: 9100}
notifications: {transport_url: "rabbit://guest:secret@bus/"}
dedup_scope: project
adopt: {endpoint: "https://glance.example:9292/"}
show_image_direct_url: true
show_multiple_locations: true
http_store: true
signing_key: key.pem
trusted_regions:
  RegionOne:
  - n38JcCKVgXXhVwSNQrV3NoNyv3-Tdmma2N9zlV26YXs
  - GXL535aI9naTwLvfJrKuRN-ABOuZ-8nhglkBW6jZkOA
  RegionTwo: 7MyhUsAbTYwLPbqvhPcU4-CXBNyBz7ouomtRxNTRHPc
peers:
  - {name: RegionOne, endpoint: "https://images.one.example/"}
  - {name: RegionTwo, endpoint: "https://images.two.example"}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "meltemi-region.yaml"
    file.write_text(text)
    return file


def test_without_a_file_it_starts_with_nothing() -> None:
    settings = load_settings(None, {"host": None, "port": None})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 9292, 1)
    assert settings.database_url == "sqlite:///meltemi-region/catalogue.sqlite"
    assert settings.store_address == "meltemi-region/store"
    assert (settings.keystone, settings.tls, settings.policy_file) == (None, None, None)
    assert (settings.metrics, settings.notifications) == (None, None)
    assert settings.rules == {"context_is_admin": "@"}
    assert settings.limits.image_size_cap == 2**40
    assert settings.dedup_scope == "region"
    assert (settings.page, settings.longest_page) == (25, 1000)
    assert not settings.show_image_direct_url
    assert not settings.show_multiple_locations
    assert not settings.http_store
    assert (settings.signing_key, settings.trusted_keys) == (None, {})


def test_a_file_says_everything(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, FILE), {})
    assert settings.tls
    assert settings.keystone
    assert (settings.tls.certificate, settings.tls.key) == (
        tmp_path / "tls/chain.pem",
        Path("/etc/key.pem"),
    )
    assert settings.keystone.cacert == tmp_path / "ca.pem"
    assert settings.keystone.token_cache_time.total_seconds() == 60
    assert settings.keystone.auth["password"] == "secret"
    assert "secret" not in repr(settings)
    assert settings.rules == {}
    assert settings.graceful_seconds == 90
    assert settings.database_url == "postgresql://meltemi@db/region"
    assert (settings.store_address, settings.index) == (
        "s3://images/region",
        "postgresql://meltemi@db/index",
    )
    assert settings.policy_file == tmp_path / "policy.yaml"
    assert settings.limits.image_property_quota == 5
    assert settings.limits.image_tag_quota == 128
    assert settings.limits.image_size_cap == 10 * 2**30
    assert (settings.disk_formats, settings.container_formats) == (("raw", "qcow2"), ("bare",))
    assert settings.import_methods == ()
    assert settings.notifications
    assert settings.notifications.transport_url == "rabbit://guest:secret@bus/"
    assert settings.adopt == AdoptSettings(endpoint="https://glance.example:9292")
    assert settings.peers == (
        PeerSettings(name="RegionOne", endpoint="https://images.one.example"),
        PeerSettings(name="RegionTwo", endpoint="https://images.two.example"),
    )
    assert settings.metrics == MetricsSettings(host="127.0.0.1", port=9100)
    assert settings.web_download.allowed_schemes == ("https",)
    assert settings.web_download.allowed_ports == (443, 8443)
    assert settings.dedup_scope == "project"
    assert settings.show_image_direct_url
    assert settings.show_multiple_locations
    assert settings.http_store
    assert settings.signing_key == tmp_path / "key.pem"
    assert settings.trusted_keys == {
        "n38JcCKVgXXhVwSNQrV3NoNyv3-Tdmma2N9zlV26YXs": "RegionOne",
        "GXL535aI9naTwLvfJrKuRN-ABOuZ-8nhglkBW6jZkOA": "RegionOne",
        "7MyhUsAbTYwLPbqvhPcU4-CXBNyBz7ouomtRxNTRHPc": "RegionTwo",
    }


def test_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "version: 1\nstore: images\n"), {})
    assert settings.store_address == str(tmp_path / "images")
    assert settings.data == tmp_path / "meltemi-region"
    assert settings.database_url == f"sqlite:///{tmp_path}/meltemi-region/catalogue.sqlite"


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    given = {"host": None, "port": 0, "workers": 4, "data": Path("here")}
    settings = load_settings(write(tmp_path, FILE), given)
    assert (settings.host, settings.port, settings.workers) == ("0.0.0.0", 0, 4)
    assert settings.data == Path("here")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("workers", "worker", "4: worker: unknown key; did you mean workers?"),
        ("workers: 2", "workers: 0", "4: workers: has to be at least 1"),
        ("workers: 2", "workers: many", "4: workers: has to be a whole number"),
        ("workers: 2", "port: 65536", "4: port: has to be at most 65535"),
        ("key: /etc/key.pem", "kye: x", "3: tls.kye: unknown key; did you mean key?"),
        (", key: /etc/key.pem", "", "3: tls.key: missing"),
        ("90s", "90", "5: graceful: 90 is not a duration"),
        ("username:", "usrname:", "11: keystone.auth: password has no option 'usrname'; did you"),
        ("auth_url:", "url:", "11: keystone.auth: password has no option 'url'"),
        ("    auth_url: https://keystone.example:5000/v3\n", "", "11: keystone.auth: password n"),
        ("  auth:", "  auth_type: pasword\n  auth:", "12: keystone.auth: keystoneauth has no plug"),
        ("  auth:", "  auth_type: http_basic\n  auth:", "12: keystone.auth: http_basic has no op"),
        ("password: secret", "password: 5", "14: keystone.auth.password: has to be text; put it"),
        (
            "policies",
            "rules",
            "22: property_protection_rule_format: has to be 'roles' or 'policies'",
        ),
        ("10G", "0", "23: limits.image_size_cap: has to be at least 1"),
        ("10G", "big", "23: limits.image_size_cap: 'big' is not a size"),
        (
            "image_property_quota",
            "image_property_qouta",
            "23: limits.image_property_qouta: unknown",
        ),
        ("page: 10", "page: 101", "24: page: is above longest_page"),
        ("sha256", "md7", "26: hashing_algorithm: has to be one of blake2b, "),
        ("sha256", "shake_128", "26: hashing_algorithm: has to be one of blake2b, "),
        ("[raw, qcow2]", "[]", "27: disk_formats: needs at least one value"),
        ("[raw, qcow2]", "[raw, 2]", "27: disk_formats[1]: has to be text; put it in quotes"),
        (
            "methods: []",
            "methods: ftp",
            "29: import_methods: has to be 'glance-direct', 'web-downl",
        ),
        ("8443", "84430", "30: web_download.allowed_ports[1]: has to be at most 65535"),
        ("{port: 9100}", "{port: 0}", "31: metrics.port: has to be at least 1"),
        ("{port: 9100}", "{}", "31: metrics.port: missing"),
        ("scope: project", "scope: me", "33: dedup_scope: has to be 'region' or 'project'"),
        ("https://glance", "glance", "34: adopt.endpoint: "),
        ("- n38", "- m", "41: trusted_regions.RegionOne[0]: 'mJcCKVgXXhVwSNQrV3NoNyv3"),
        ("RegionTwo: 7M", "RegionTwo: M", "43: trusted_regions.RegionTwo: 'MyhUsAbTYwLPbqvhPcU4"),
        ("name: RegionTwo", "name: RegionOne", "44: peers: has two of one name"),
        ("https://images.two", "images.two", "46: peers[1].endpoint: "),
        ("name: RegionOne, ", "", "45: peers[0].name: missing"),
        ("version: 1", "version: 2", "1: version: this Meltemi reads version 1 only"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    file = write(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert str(caught.value).removeprefix(f"{file}:").startswith(message)


def test_a_plugin_that_does_not_log_in_is_refused(tmp_path: Path) -> None:
    text = "version: 1\nkeystone: {auth_type: none, auth: {endpoint: 'http://keystone.example'}}\n"
    with pytest.raises(ConfigurationError, match="'none' is not a way to log in at Keystone"):
        load_settings(write(tmp_path, text), {})


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert load_settings(write(tmp_path, example), {}).keystone


@pytest.mark.parametrize(
    "entry",
    [
        Settings,
        TlsSettings,
        AdoptSettings,
        MetricsSettings,
        NotificationSettings,
        PeerSettings,
        KeystoneSettings,
        Limits,
        WebDownload,
    ],
)
def test_the_documentation_names_every_key(entry: type[Entry]) -> None:
    tables = "".join(line for line in PAGE.read_text().splitlines() if line.startswith("|"))
    assert [name for name in entry.model_fields if f"`{name}`" not in tables] == []

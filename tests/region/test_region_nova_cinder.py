"""Nova's and Cinder's own code for images, against a region and against a real Glance.

Each runs in a process of its own, with the Python that has it, as the services' users would make
it run: `consumers/`. What comes of it has to be the same.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lab import Cloud, Region, images, venvs
from lab.state import ROOT
from lab.wsgi import Settings, write_settings
from tests.support.accounts import Accounts
from tests.support.cli import PATIENCE, environment
from tests.support.glance import some_data

pytestmark = pytest.mark.services

NAME: Final = "RegionOfConsumers"
DISK: Final = some_data(77, 2 * 2**20) + bytes(2**20)
SHA256: Final = hashlib.sha256(DISK).hexdigest()

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def server(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """Give a region with two workers, which the cloud's catalogue leads to."""
    keystone = cloud.keystone
    settings = {"workers": 2, "keystone": {"auth": _service(cloud)}}
    with Region(tmp_path_factory.mktemp("region"), settings=settings) as made:
        keystone.endpoint("image", NAME, made.url)
        yield made


@pytest.fixture(scope="module")
def people(accounts: Accounts) -> None:
    """Make those whom Nova and Cinder work for."""
    for name, role in (("alice", "member"), ("bob", "member"), ("boss", "admin")):
        accounts.add(name, role=role)


@pytest.fixture
def ask(cloud: Cloud, server: Region, people: None, tmp_path: Path) -> Callable[[str, str], Any]:
    """Give a function that lets a program do its work in a region, and gives what it printed."""
    del server, people  # they have to be there
    (tmp_path / "disk.raw").write_bytes(DISK)
    images.qemu_img(
        *("convert", "-f", "raw", "-O", "qcow2", str(tmp_path / "disk.raw")),
        str(tmp_path / "disk.qcow2"),
    )

    def run(program: str, region: str) -> Any:
        write_settings(tmp_path / "nova.conf", _of_nova(cloud, region, tmp_path))
        write_settings(tmp_path / "cinder.conf", _of_cinder(cloud, region, tmp_path))
        where = {
            "auth_url": cloud.keystone.url,
            "password": cloud.keystone.password,
            "folder": str(tmp_path),
            "store": "chunks" if region == NAME else "files",
        }
        python = venvs.environment("nova-cinder") / "bin" / "python"
        done = subprocess.run(
            [str(python), str(ROOT / "tests" / "region" / "consumers" / f"{program}.py")],
            input=json.dumps(where),
            env=environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_nova(ask: Callable[[str, str], Any]) -> None:
    told = ask("nova_does", NAME)
    assert told == ask("nova_does", "RegionOne")
    life, boots, snapshots = told["life"], told["boots"], told["snapshots"]
    assert {life[key] for key in ("iterated", "to a path", "to a file")} == {SHA256}
    assert life["gone"] == ["ImageNotFound", "ImageNotFound"]
    assert life["protected"] == "ImageNotAuthorized"
    for key in ("converted", "as it is", "signed", "trusted"):
        assert boots[key] == SHA256
    assert boots["forged"] == "InvalidSignature"
    assert boots["not trusted"] == "CertificateValidationFailed"
    for who in ("owner", "administrator"):
        assert snapshots[who]["filled"]["status"] == "active"
        assert snapshots[who]["seen by its owner"] == SHA256


def test_cinder(ask: Callable[[str, str], Any]) -> None:
    told = ask("cinder_does", NAME)
    assert told == ask("cinder_does", "RegionOne")
    life, volumes = told["life"], told["volumes"]
    assert {life[key] for key in ("fetched", "looked at", "iterated")} == {SHA256}
    assert life["gone"] == ["ImageNotFound", "ImageNotFound"]
    for key in ("qcow2", "made qcow2 of", "raw"):
        assert volumes[key] == SHA256
    assert volumes["signed"] is True
    assert volumes["forged"] == "ImageSignatureVerificationException"


def _service(cloud: Cloud) -> dict[str, str]:
    keystone = cloud.keystone
    return keystone.login()


def _of_nova(cloud: Cloud, region: str, folder: Path) -> Settings:
    return {
        "DEFAULT": {"state_path": folder, "instances_path": folder, "use_stderr": "true"},
        "glance": {"region_name": region, "valid_interfaces": "public"},
        # With every request goes a token of Nova's own, by which it may outlive the user's.
        "service_user": {
            "send_service_user_token": "true",
            "auth_type": "password",
            **_service(cloud),
        },
        "key_manager": {"backend": "signing.Keys"},
    }


def _of_cinder(cloud: Cloud, region: str, folder: Path) -> Settings:
    return {
        "DEFAULT": {"state_path": folder, "image_conversion_dir": folder, "use_stderr": "true"},
        "glance": {"region_name": region},
        "service_user": {
            "send_service_user_token": "true",
            "auth_type": "password",
            **_service(cloud),
        },
        "key_manager": {"backend": "signing.Keys"},
    }

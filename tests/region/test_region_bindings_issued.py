"""What a region vouches for, and for what it does not."""

import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from meltemi.chunks.blob import ROOT, name_blob
from meltemi.errors import ConfigurationError
from meltemi.keys import SigningKey
from meltemi.model.image import Hashes, Image
from meltemi.model.record import UNINSPECTED, Content
from meltemi.region.bindings import Bindings
from meltemi.region.settings import Settings
from meltemi.region.wiring import open_bindings, prepare

ROOT_ID = name_blob(ROOT, b"a manifest")
IMAGE = Image("image", disk_format="qcow2", container_format="bare", size=7)
CONTENT = Content("content", 7, Hashes("c", "sha512", "h"), 70)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.create(tmp_path / "key.pem")


def test_what_was_computed_and_inspected_here(key: SigningKey) -> None:
    text = Bindings(key, {}, "sha512").issue(ROOT_ID, IMAGE, CONTENT)
    assert text is not None
    payload = text.split(".")[1]
    assert json.loads(urlsafe_b64decode(payload + "==")) == {
        "format": 1,
        "manifest": ROOT_ID.hex(),
        "cut": "cdc-64k",
        "size": 7,
        "checksum": "c",
        "os_hash_algo": "sha512",
        "os_hash_value": "h",
        "disk_format": "qcow2",
        "container_format": "bare",
        "virtual_size": 70,
    }
    found = Bindings(None, {key.public: "one"}, "sha512").believed(text, IMAGE, 7)
    assert found is not None
    assert (found.issuer, found.root, found.hashes) == ("one", ROOT_ID, CONTENT.hashes)
    assert (found.virtual_size, found.text) == (70, text)


def test_what_was_not(key: SigningKey) -> None:
    bindings = Bindings(key, {}, "sha512")
    passed_on = replace(CONTENT, binding="of somebody else")
    assert bindings.issue(ROOT_ID, IMAGE, passed_on) == "of somebody else"
    assert bindings.issue(ROOT_ID, IMAGE, replace(CONTENT, binding=UNINSPECTED)) is None
    for hashes in (Hashes(), Hashes("c"), Hashes(None, "sha512", "h")):
        assert bindings.issue(ROOT_ID, IMAGE, replace(CONTENT, hashes=hashes)) is None
    assert Bindings(None, {}, "sha512").issue(ROOT_ID, IMAGE, CONTENT) is None


def test_another_hash_than_the_one_that_is_computed_here(key: SigningKey) -> None:
    text = Bindings(key, {}, "sha512").issue(ROOT_ID, IMAGE, CONTENT)
    assert Bindings(None, {key.public: "one"}, "sha256").believed(text, IMAGE, 7) is None


def test_a_key_that_cannot_be_used_keeps_a_region_from_starting(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", signing_key=tmp_path / "gone.pem")
    for use in (open_bindings, prepare):
        with pytest.raises(ConfigurationError, match=r"signing_key: .*gone\.pem: the key cannot"):
            use(settings)
    assert not settings.data.exists()

"""The description of the API, docs/openapi.yaml: it leaves nothing out, and what it says is so."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Region
from lab.state import ROOT
from meltemi.region.api import schemas
from meltemi.region.api.cache import OLD_ROUTES
from meltemi.region.api.metadefs import schemas as metadefs
from meltemi.region.app import ROUTES
from meltemi.region.observing import PROBES
from meltemi.region.settings import Settings
from tests.support.described import see_described

DESCRIPTION = ROOT / "docs" / "openapi.yaml"
CONFIGURATION = Path(__file__).parent / "described" / "schemathesis.toml"
PATIENCE = 500
"""Seconds; it takes a tenth of it where nothing else is to be done."""

FORMATS = (Settings().disk_formats, Settings().container_formats)


@pytest.fixture(scope="module")
def description() -> Any:
    return yaml.safe_load(DESCRIPTION.read_text())


def test_it_has_every_route_and_no_other(description: Any) -> None:
    shared = description["components"]["pathItems"]
    said = {
        (method.upper(), path)
        for path, item in description["paths"].items()
        for method in _item(item, shared).keys() - {"parameters"}
    }
    there = {(method, _plain(path)) for method, path, _ in (*ROUTES, *OLD_ROUTES)}
    assert said == there | {("GET", path) for path in ("/", "/versions", *PROBES)}


def _item(item: Any, shared: Any) -> Any:
    """Give what stands at a path, or at what that refers to."""
    return shared[item["$ref"].rpartition("/")[2]] if "$ref" in item else item


def _plain(path: str) -> str:
    """Give a route's path without the patterns of its parts."""
    return re.sub(r"{(\w+):.+?\+}", r"{\1}", path)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("NewImage", schemas.image_schema(*FORMATS)),
        ("Member", schemas.MEMBER),
        ("Task", schemas.TASK),
        ("Namespace", metadefs.NAMESPACE),
        ("Object", metadefs.OBJECT),
        ("Tag", metadefs.TAG),
        ("Association", metadefs.RESOURCE_TYPE),
    ],
)
def test_it_has_every_attribute(description: Any, name: str, schema: schemas.Schema) -> None:
    said = description["components"]["schemas"][name]["properties"]
    assert said.keys() == schema["properties"].keys()
    for attribute, facts in schema["properties"].items():
        assert said[attribute].get("enum") == facts.get("enum")
        if attribute != "locations":  # which can be set by a change alone
            assert said[attribute].get("readOnly") == facts.get("readOnly")


def test_what_it_says_is_so(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('fetch_image_location: "@"\nadd_image_location: "@"\n')
    settings = {
        "import_methods": ["glance-direct", "web-download", "glance-download", "copy-image"],
        "web_download": {"allowed_hosts": ["nowhere.invalid"]},
        "hashing_algorithm": "sha256",  # that of the example of a location
        "show_image_direct_url": True,
        "show_multiple_locations": True,
        "policy_file": str(policy),
    }
    with Region(tmp_path / "region", settings=settings) as server:
        paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
        see_described(DESCRIPTION, CONFIGURATION, server.url, tmp_path, PYTHONPATH=paths)
        assert "a defect" not in server.log.read_text()

"""`meltemi db load-metadefs`."""

import json
from pathlib import Path
from typing import Any

import pytest

from meltemi.catalogue.sql import open_catalogue
from meltemi.model.definitions import Described, Kind
from meltemi.model.listing import Viewer
from tests.support.cli import meltemi

ADMIN = Viewer(None, is_admin=True)
SEA = {
    "namespace": "Sea",
    "display_name": "The sea",
    "visibility": "public",
    "protected": True,
    "resource_type_associations": [{"name": "OS::Sea", "prefix": "sea:"}],
    "properties": {"depth": {"title": "Depth", "type": "integer", "default": 10}},
    "objects": [{"name": "Port", "properties": {"pier": {"title": "Pier", "type": "string"}}}],
    "tags": [{"name": "blue"}],
}


def write(folder: Path, name: str, body: Any) -> Path:
    """Write a file, of JSON unless it is text."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(body if isinstance(body, str) else json.dumps(body))
    return file


def load(path: Path, *options: str) -> dict[str, Any]:
    """Load definitions into a database beside them; give what is printed."""
    database = f"sqlite:///{path.parent / 'catalogue.sqlite'}"
    words = ("db", "load-metadefs", path, *options, "--database", database, "-f", "json")
    [printed] = meltemi(*words).rows
    return printed


async def found(folder: Path, namespace: str = "Sea") -> Described:
    """Give a namespace in the database of a folder."""
    catalogue = await open_catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
    try:
        return await catalogue.definitions.describe(namespace, ADMIN)
    finally:
        await catalogue.close()


async def test_a_folder_and_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "metadefs"
    write(folder, "sea.json", SEA)
    write(folder, "lake.json", {"namespace": "Lake", "owner": "nymphs"})
    write(folder, "README", "not JSON")
    assert load(folder) == {"Loaded": 2, "Left": 0}
    assert load(folder) == {"Loaded": 0, "Left": 2}
    lone = write(tmp_path, "pond", {"namespace": "Pond"})
    assert load(lone) == {"Loaded": 1, "Left": 0}
    sea = await found(tmp_path)
    assert (sea.namespace.owner, sea.namespace.visibility) == ("admin", "public")
    assert sea.namespace.protected
    assert [one.name for one in sea.definitions] == ["OS::Sea", "Port", "blue", "depth"]
    [depth] = sea.of(Kind.PROPERTY)
    assert depth.document == {"title": "Depth", "type": "integer", "default": "10"}
    lake = await found(tmp_path, "Lake")
    assert (lake.namespace.owner, lake.namespace.visibility) == ("nymphs", "private")


@pytest.mark.parametrize(
    ("options", "name", "default", "tags"),
    [
        ((), "The sea", "10", {"blue"}),
        (("--merge",), "The sea", "10", {"blue", "green"}),
        (("--prefer-new",), "New", "20", {"blue", "green"}),
        (("--merge", "--prefer-new"), "New", "20", {"blue", "green"}),
        (("--overwrite",), "New", "20", {"green"}),
        (("--merge", "--overwrite"), "New", "20", {"green"}),
    ],
)
async def test_what_is_there_already(
    tmp_path: Path, options: tuple[str, ...], name: str, default: str, tags: set[str]
) -> None:
    load(write(tmp_path, "old.json", SEA))
    depth = {"title": "Depth", "type": "integer", "default": 20}
    changed = {"display_name": "New", "properties": {"depth": depth}, "tags": [{"name": "green"}]}
    new = write(tmp_path, "new.json", {**SEA, **changed})
    assert load(new, *options) == (
        {"Loaded": 1, "Left": 0} if options else {"Loaded": 0, "Left": 1}
    )
    sea = await found(tmp_path)
    assert sea.namespace.display_name == name
    assert [one.document["default"] for one in sea.of(Kind.PROPERTY)] == [default]
    assert {one.name for one in sea.of(Kind.TAG)} == tags


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "has to be a JSON object"),
        ("{}", "'namespace' is a required property"),
        ({"namespace": "n", "objects": [{}]}, "field 'name' missing (object)"),
        ({"namespace": "n", "tags": [{"name": "t"}, {"name": "t"}]}, "defines the tag 't' 2 times"),
        ({"namespace": "n", "description": "d" * 501}, "is too long"),
    ],
)
def test_where_one_file_is_wrong_none_is_loaded(tmp_path: Path, body: Any, told: str) -> None:
    folder = tmp_path / "metadefs"
    write(folder, "a.json", SEA)
    wrong = write(folder, "b.json", body)
    database = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    complaint = meltemi("db", "load-metadefs", folder, "--database", database, code=2).complaint
    assert told in complaint
    assert str(wrong) in complaint
    assert not (tmp_path / "catalogue.sqlite").exists()


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    for path, told in ((tmp_path, "no *.json"), (tmp_path / "none", "No such file")):
        assert told in meltemi("db", "load-metadefs", path, "--database", url, code=2).complaint
    both = ("--prefer-new", "--overwrite")
    complaint = meltemi("db", "load-metadefs", tmp_path, *both, "--database", url, code=2).complaint
    assert "choose one of" in complaint

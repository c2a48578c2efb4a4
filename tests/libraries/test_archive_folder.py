# ruff: noqa: ASYNC240 - nothing else waits for the event loop of a test
"""What lies in the folder of an archive, and that it is read as it was written."""

import asyncio
import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.errors import ConflictError
from meltemi.libraries.archive import metadata, open_archive
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Hashes, Image, Member
from tests.libraries.archiving import ID, dumped, image, loaded, manifest, names
from tests.libraries.handling import DATA, MIB, SourceBrokeError, broken, listed, pieces

# What lies in the folder


@pytest.mark.parametrize(
    ("disk_format", "suffix"),
    [
        *(("raw", ".raw"), ("qcow2", ".qcow2"), ("iso", ".iso"), ("vmdk", ".vmdk")),
        *((None, ".data"), ("", ".data"), ("../../x", ".data"), ("json", ".data")),
    ],
)
async def test_names_tell_the_format(folder: Path, disk_format: str | None, suffix: str) -> None:
    await dumped(folder, disk_format=disk_format)
    assert names(folder) == [f"{ID}.2.json", f"{ID}{suffix}"]
    assert (folder / "images" / f"{ID}{suffix}").read_bytes() == DATA


async def test_metadata_is_for_people(folder: Path) -> None:
    await dumped(folder, name="Μελτέμι")
    text = (folder / "images" / f"{ID}.2.json").read_text("utf-8")
    body = json.loads(text)
    assert text == json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert body["image"]["name"] == "Μελτέμι"
    assert body["image"]["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert body["members"] == []


async def test_the_manifest_has_the_hashes(folder: Path) -> None:
    await dumped(folder)
    lines = manifest(folder)
    assert lines[0] == {"format": "meltemi-archive", "version": 1}
    raw = (folder / "images" / f"{ID}.2.json").read_bytes()
    assert lines[-1] == {
        "id": ID,
        "metadata": {
            "file": f"{ID}.2.json",
            "size": len(raw),
            "sha512": hashlib.sha512(raw).hexdigest(),
        },
        "data": {
            "file": f"{ID}.qcow2",
            "size": len(DATA),
            "sha512": hashlib.sha512(DATA).hexdigest(),
        },
    }


async def test_images_are_for_their_owner_alone(folder: Path) -> None:
    await dumped(folder)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


async def test_nothing_is_left_behind(folder: Path, archive: Library) -> None:
    await archive.create(image(visibility="shared"))
    with pytest.raises(SourceBrokeError):
        await archive.upload(ID, len(DATA), broken(DATA[:MIB], SourceBrokeError()))
    await archive.upload(ID, len(DATA), pieces(DATA))
    await archive.add_member(ID, Member("a"))
    await archive.remove_member(ID, "a")
    await archive.remove_member(ID, "a")
    assert names(folder) == [f"{ID}.4.json", f"{ID}.qcow2"]
    await archive.delete(ID)
    assert names(folder) == []
    assert manifest(folder)[-1] == {"id": ID, "deleted": True}


async def test_the_manifest_is_compacted(folder: Path, archive: Library) -> None:
    made = await dumped(folder.parent / "other")
    await archive.create(image(id=made.id))
    gone = await archive.create(image(id=""))
    await archive.delete(gone.id)
    for number in range(1100):
        await archive.update(ID, Changes({"name": str(number)}))
    await archive.close()
    assert len(manifest(folder)) > 1100
    before = await loaded(folder)
    again = open_archive(folder, name="again", writable=True)
    assert await listed(again) == before
    assert len(manifest(folder)) == 3
    with pytest.raises(ConflictError):
        await again.create(image(id=gone.id))
    await again.update(ID, Changes({"name": "after"}))
    await again.close()
    assert [image.name for image in await loaded(folder)] == ["after"]


async def test_an_index_of_many_images(folder: Path, archive: Library) -> None:
    ids = [str(uuid4()) for _ in range(250)]
    await asyncio.gather(*(archive.create(image(id=image_id)) for image_id in ids))
    pages = [page async for page in archive.list_images()]
    assert [image.id for page in pages for image in page] == sorted(ids)
    assert max(map(len, pages)) == 100
    await archive.close()
    assert [image.id for image in await loaded(folder)] == sorted(ids)


# Any metadata

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_count = st.integers(0, 2**63)
_images = st.builds(
    Image,
    id=st.uuids().map(str),
    name=st.none() | _text,
    visibility=st.sampled_from(["public", "community", "shared", "private"]),
    owner=st.none() | _text,
    virtual_size=st.none() | _count,
    hashes=st.just(Hashes()),
    disk_format=st.none() | _text,
    container_format=st.none() | _text,
    min_disk=_count,
    min_ram=_count,
    protected=st.booleans(),
    os_hidden=st.booleans(),
    tags=st.frozensets(_text, max_size=3),
    properties=st.dictionaries(_text.map("p{}".format), _text, max_size=5),
    created_at=st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    updated_at=st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
)
_members = st.dictionaries(
    _text, st.sampled_from(["pending", "accepted", "rejected"]), max_size=3
).map(lambda found: tuple(Member(project, found[project]) for project in sorted(found)))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_images, _members)
def test_any_metadata_is_read_as_it_was_written(made: Image, members: tuple[Member, ...]) -> None:
    found, found_members = metadata.decode(metadata.encode(made, members))
    assert replace(found, properties=dict(found.properties)) == made
    assert found_members == members


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(_images, max_size=4, unique_by=lambda made: made.id))
async def test_any_images_are_archived(
    tmp_path_factory: pytest.TempPathFactory, images: list[Image]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    library = open_archive(folder, name="target", writable=True)
    for made in images:
        await library.create(made)
    await library.close()
    found = [replace(made, properties=dict(made.properties)) for made in await loaded(folder)]
    assert found == sorted(images, key=lambda made: made.id)

"""Folders that glance-replicator wrote."""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.errors import ArchiveError, ConflictError, CorruptionError, UsageError, VanishedError
from meltemi.libraries.archive import open_archive
from meltemi.libraries.base import Changes, Library, Verifiable
from meltemi.model.image import Hashes, Image, Member
from tests.libraries.handling import MIB, content, listed, pieces

ID = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
DATA = b"\x00\xff\r\n" * (MIB // 2) + b"end"
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()

# As `/v1/images/detail` gives one image.
DETAIL: dict[str, Any] = {
    "id": ID,
    "name": "precise",
    "size": len(DATA),
    "checksum": MD5,
    "owner": "5ef70662f8b34079a6eddb8da9d75fe8",
    "is_public": True,
    "protected": False,
    "disk_format": "qcow2",
    "container_format": "bare",
    "min_disk": 5,
    "min_ram": 512,
    "status": "active",
    "created_at": "2014-05-05T17:15:10.000000",
    "updated_at": "2014-05-05T17:15:11",
    "deleted": False,
    "deleted_at": None,
    "virtual_size": None,
    "properties": {"os_distro": "ubuntu", "kernel_id": None, "count": 3},
}

IMAGE = Image(
    ID,
    name="precise",
    status="active",
    visibility="public",
    owner="5ef70662f8b34079a6eddb8da9d75fe8",
    size=len(DATA),
    hashes=Hashes(MD5),
    disk_format="qcow2",
    container_format="bare",
    min_disk=5,
    min_ram=512,
    properties={"os_distro": "ubuntu", "count": "3"},
    created_at="2014-05-05T17:15:10Z",
    updated_at="2014-05-05T17:15:11Z",
)

# As the headers of `HEAD /v1/images/<id>` become a dictionary.
HEADERS = {
    **{key: str(value) for key, value in DETAIL.items() if key not in ("properties", "deleted_at")},
    "virtual_size": "",
    "content-length": "0",
    "content-type": "text/html; charset=UTF-8",
    "etag": MD5,
    "date": "Mon, 05 May 2014 17:20:00 GMT",
    "properties": {"os_distro": "ubuntu", "count": "3"},
}


def write(folder: Path, metadata: object, data: bytes | None = DATA, name: str = ID) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(metadata), "utf-8")
    if data is not None:
        (folder / f"{name}.img").write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write what glance-replicator would have written of one image."""
    folder = tmp_path / "dump"
    write(folder, DETAIL)
    return folder


@pytest.fixture
async def library(folder: Path) -> AsyncIterator[Library]:
    library = open_archive(folder, name="old", writable=False)
    yield library
    await library.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def images(folder: Path) -> list[Image]:
    library = open_archive(folder, name="old", writable=False)
    try:
        return await listed(library)
    finally:
        await library.close()


async def refused(folder: Path, *words: str) -> None:
    """Assert that the folder is not believed, in one line with all the words in it."""
    with pytest.raises(ArchiveError) as caught:
        await images(folder)
    text = str(caught.value)
    assert text.isprintable()
    assert not [word for word in words if word not in text], text


async def test_an_image_is_read(folder: Path, library: Library) -> None:
    assert library.identity == f"file://{folder}"
    assert await listed(library) == [IMAGE]
    assert await library.show(ID) == IMAGE
    assert await library.list_members(ID) == ()
    assert await content(library, ID) == DATA
    assert await content(library, ID, MIB + 1) == DATA[MIB + 1 :]


async def test_texts_in_place_of_numbers_and_truths_are_read(folder: Path) -> None:
    write(folder, HEADERS)
    assert await images(folder) == [IMAGE]


@pytest.mark.parametrize("prefix", ["property-", "x-image-meta-property-"])
async def test_flat_properties_are_read(folder: Path, prefix: str) -> None:
    flat = {f"{prefix}{key}": value for key, value in IMAGE.properties.items()}
    write(folder, {**DETAIL, "properties": {}} | flat)
    assert await images(folder) == [IMAGE]


async def test_properties_cannot_pass_for_attributes(folder: Path) -> None:
    write(folder, DETAIL | {"properties": {"visibility": "shared", "self": "/x", "ok": "1"}})
    (image,) = await images(folder)
    assert image.properties == {"ok": "1"}


@pytest.mark.parametrize("public", [False, "False", "false", "0"])
async def test_what_is_not_public_is_private(folder: Path, public: object) -> None:
    write(folder, DETAIL | {"is_public": public, "protected": "True"})
    (image,) = await images(folder)
    assert (image.visibility, image.protected) == ("private", True)


async def test_little_metadata_is_enough(folder: Path) -> None:
    write(folder, {"id": ID, "status": "active", "name": None, "min_ram": None, "size": None})
    (image,) = await images(folder)
    assert image == Image(ID, status="active", size=len(DATA), properties={})


async def test_images_are_listed_ascending(folder: Path) -> None:
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(230)]
    for image_id in reversed(ids):
        write(folder, {"id": image_id, "status": "queued"}, None, image_id)
    assert [image.id for image in await images(folder)] == sorted([*ids, ID])


async def test_without_its_data_an_image_is_queued(folder: Path, library: Library) -> None:
    (folder / f"{ID}.img").unlink()
    (image,) = await listed(library)
    assert (image.status, image.size, image.hashes) == ("queued", None, Hashes())
    with pytest.raises(ConflictError):
        await content(library, ID)


async def test_what_is_not_there_has_vanished(library: Library) -> None:
    for image_id in (OTHER, "..", f"{ID}.img", ""):
        with pytest.raises(VanishedError):
            await library.show(image_id)
        with pytest.raises(VanishedError):
            await content(library, image_id)


async def test_data_is_verified_by_its_md5(folder: Path, library: Library) -> None:
    assert isinstance(library, Verifiable)
    await library.verify(ID)
    (folder / f"{ID}.img").write_bytes(DATA[:-1] + b"!")
    with pytest.raises(CorruptionError, match=rf"{ID}\.img"):
        await library.verify(ID)


async def test_data_without_md5_is_verified_by_its_size_alone(folder: Path) -> None:
    write(folder, DETAIL | {"checksum": None}, DATA[:-1] + b"!")
    library = open_archive(folder, name="old", writable=False)
    assert isinstance(library, Verifiable)
    await library.verify(ID)
    await library.close()


async def test_it_is_not_written(folder: Path, library: Library) -> None:
    with pytest.raises(UsageError, match=r"glance-replicator.*name another folder"):
        open_archive(folder, name="old", writable=True)
    for write_it in (
        lambda: library.create(Image("")),
        lambda: library.upload(ID, 0, pieces(b"")),
        lambda: library.update(ID, Changes({"name": "x"})),
        lambda: library.add_member(ID, Member("a")),
        lambda: library.remove_member(ID, "a"),
        lambda: library.delete(ID),
    ):
        with pytest.raises(UsageError, match="glance-replicator"):
            await write_it()
    assert names(folder) == [ID, f"{ID}.img"]


async def test_closing_twice_is_harmless(library: Library) -> None:
    await library.close()
    await library.close()


# What is refused


@pytest.mark.parametrize("name", [ID, f"{ID}.img", OTHER, "innocent"])
async def test_links_are_refused(folder: Path, name: str) -> None:
    if (folder / name).exists():
        (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)
    await refused(folder, name, "symbolic link")


@pytest.mark.parametrize("name", [f"{ID}.img", "pipe"])
async def test_special_files_are_refused(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    await refused(folder, name, "no plain file")


@pytest.mark.parametrize("name", [ID, f"{ID}.img"])
async def test_folders_in_place_of_files_are_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    await refused(folder, name, "no plain file")


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"!"])
async def test_data_of_another_size_is_refused(folder: Path, data: bytes) -> None:
    write(folder, DETAIL, data)
    await refused(folder, ID, f"{len(DATA)} bytes", f"are {len(data)}", "restore")


async def test_data_without_metadata_is_refused(folder: Path) -> None:
    (folder / f"{OTHER}.img").write_bytes(DATA)
    await refused(folder, f"{OTHER}.img", "no metadata", "restore")


@pytest.mark.parametrize("name", [ID.replace("-", ""), f"{{{ID}}}", f"{ID.replace('-', '')}.img"])
async def test_ids_must_look_like_openstack_s(folder: Path, name: str) -> None:
    (folder / name).write_text("{}")
    await refused(folder, name, "UUID", "rename")


@pytest.mark.parametrize(
    "changes",
    [
        *({"id": OTHER}, {"id": f"../{ID}"}, {"id": None}, {"id": 5}, {"status": None}),
        *({"size": "many"}, {"size": -1}, {"checksum": "x"}, {"checksum": "A" * 32}),
        *({"is_public": "perhaps"}, {"protected": []}, {"min_ram": 1.5}, {"name": ["x"]}),
        *({"properties": "x"}, {"properties": {"deep": {"er": 1}}}, {"created_at": "then"}),
        {"name": "\ud800"},
    ],
)
async def test_metadata_that_glance_never_gave_is_refused(
    folder: Path, changes: dict[str, Any]
) -> None:
    write(folder, DETAIL | changes)
    await refused(folder, ID, "move it")


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"null", b"5", b"\xff", b"[" * 100_000, b'{"id":NaN}'),
        b'{"id":"%b","status":"queued","status":"active"}' % ID.encode(),
        b'{"id":"%b","status":"queued","properties":{"a":"1","a":"2"}}' % ID.encode(),
    ],
)
async def test_metadata_that_is_no_json_is_refused(folder: Path, raw: bytes) -> None:
    (folder / ID).write_bytes(raw)
    await refused(folder, ID, "move it")


async def test_huge_metadata_is_refused(folder: Path) -> None:
    os.truncate(folder / ID, 1 << 40)
    await refused(folder, ID, "more than")


async def test_what_means_nothing_is_left_alone(folder: Path) -> None:
    (folder / "README.img").write_text("from the old region")
    (folder / "notes").mkdir()
    assert await images(folder) == [IMAGE]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(st.fixed_dictionaries({}, optional={key: _json for key in DETAIL if key != "id"}))
async def test_no_metadata_does_harm(folder: Path, changes: dict[str, Any]) -> None:
    write(folder, DETAIL | changes)
    try:
        found = await images(folder)
    except ArchiveError as error:
        text = str(error)
    else:
        assert [image.id for image in found] == [ID]
        return
    assert text.isprintable()
    assert str(folder) in text

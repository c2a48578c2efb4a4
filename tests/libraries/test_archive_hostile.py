"""Archives that are damaged, or made to harm: they are refused, by name, before any use."""

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.errors import ArchiveError
from meltemi.libraries.archive import open_archive, strictjson
from meltemi.libraries.archive.files import shown
from meltemi.model.image import Image
from tests.libraries.handling import listed, pieces

ID = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
DATA = b"the data of the image"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Write an archive with one active image."""
    folder = tmp_path / "archive"
    library = open_archive(folder, name="target", writable=True)
    await library.create(Image(ID, name="one", disk_format="raw", container_format="bare"))
    await library.upload(ID, len(DATA), pieces(DATA))
    await library.close()
    return folder


async def refused(folder: Path, *words: str) -> None:
    """Assert that neither a reader nor a writer believes the archive, and that it stays as it is.

    The error must be one line with all the words in it.
    """
    before = snapshot(folder)
    for writable in (False, True):
        with pytest.raises(ArchiveError) as caught:
            await first_use(folder, writable=writable)
        text = str(caught.value)
        assert text.isprintable()
        assert not [word for word in words if word not in text], text
    assert snapshot(folder) == before


async def first_use(folder: Path, *, writable: bool) -> list[Image]:
    library = open_archive(folder, name="archive", writable=writable)
    try:
        return await listed(library)
    finally:
        await library.close()


def snapshot(folder: Path) -> dict[str, object]:
    return {
        str(path): path.read_bytes() if path.is_file() else os.lstat(path).st_mode
        for path in sorted(folder.rglob("*"))
    }


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def rewrite(folder: Path, *bodies: object) -> None:
    text = "".join(f"{json.dumps(body)}\n" for body in bodies)
    (folder / "manifest.jsonl").write_text(text)


def forge(folder: Path, raw: bytes) -> None:
    """Replace the image's metadata, and make the manifest agree."""
    (folder / "images" / f"{ID}.2.json").write_bytes(raw)
    header, *_, entry = lines(folder)
    entry["metadata"] |= {"size": len(raw), "sha512": hashlib.sha512(raw).hexdigest()}
    rewrite(folder, header, entry)


# Files


async def test_an_archive_as_it_was_written_is_believed(folder: Path) -> None:
    assert [image.id for image in await first_use(folder, writable=False)] == [ID]


@pytest.mark.parametrize("name", [f"{ID}.raw", f"{ID}.2.json", f"{OTHER}.raw", "innocent"])
async def test_links_are_refused(folder: Path, name: str) -> None:
    path = folder / "images" / name
    if path.exists():
        path.rename(folder.parent / name)
    path.symlink_to(folder.parent / name)
    await refused(folder, "symbolic link", name)


@pytest.mark.parametrize("name", ["manifest.jsonl", "images", "lock"])
async def test_links_in_place_of_its_parts_are_refused(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)
    await refused(folder, "symbolic link", name)


@pytest.mark.parametrize("name", [f"images/{ID}.raw", "images/pipe", "manifest.jsonl", "lock"])
async def test_special_files_are_refused(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    await refused(folder, "no plain file", name)


@pytest.mark.parametrize("name", [f"{ID}.raw", f"{ID}.2.json"])
async def test_folders_in_place_of_files_are_refused(folder: Path, name: str) -> None:
    (folder / "images" / name).unlink()
    (folder / "images" / name).mkdir()
    await refused(folder, "no plain file", name)


@pytest.mark.parametrize("name", [f"{ID}.raw", f"{ID}.2.json"])
async def test_missing_files_are_named(folder: Path, name: str) -> None:
    (folder / "images" / name).unlink()
    await refused(folder, "missing", name, "restore")


async def test_a_missing_manifest_is_missed(folder: Path) -> None:
    (folder / "manifest.jsonl").unlink()
    await refused(folder, "manifest.jsonl")


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"!"])
async def test_data_of_another_size_is_refused(folder: Path, data: bytes) -> None:
    (folder / "images" / f"{ID}.raw").write_bytes(data)
    await refused(folder, f"{ID}.raw", f"{len(data)} bytes", str(len(DATA)), "restore")


@pytest.mark.parametrize("change", [b"", b" ", b'{"image": {}, "members": []}'])
async def test_metadata_that_was_altered_is_refused(folder: Path, change: bytes) -> None:
    path = folder / "images" / f"{ID}.2.json"
    path.write_bytes(path.read_bytes() + change if change.isspace() else change)
    await refused(folder, f"{ID}.2.json", "restore")


async def test_files_the_manifest_has_lost_are_missed(folder: Path) -> None:
    header, *_ = lines(folder)
    rewrite(folder, header)
    await refused(folder, ID, "not in the manifest", "restore")


async def test_what_means_nothing_is_left_alone(folder: Path) -> None:
    (folder / "README").write_text("from the second region")
    (folder / "images" / "SHA512SUMS").write_text("…")
    (folder / "images" / "part").write_text("…")
    before = snapshot(folder)
    for writable in (False, True):
        assert len(await first_use(folder, writable=writable)) == 1
    assert snapshot(folder) == before


async def test_a_name_cannot_upset_a_terminal(folder: Path) -> None:
    os.mkfifo(folder / "images" / "\x1b[2J\n\udcff")
    await refused(folder, "no plain file", "\\x1b[2J")


# The manifest

SHA = "0" * 128
META = {"file": f"{ID}.2.json", "size": 5, "sha512": SHA}


@pytest.mark.parametrize(
    "header",
    [
        *({}, [], "x", None, {"format": "tar", "version": 1}),
        *({"version": 1}, {"format": "meltemi-archive"}),
    ],
)
async def test_another_format_is_refused(folder: Path, header: object) -> None:
    rewrite(folder, header, *lines(folder)[1:])
    await refused(folder, "manifest.jsonl")


@pytest.mark.parametrize("version", [0, 2, "1", True, None, [1], 10**30])
async def test_another_version_is_refused(folder: Path, version: object) -> None:
    rewrite(folder, {"format": "meltemi-archive", "version": version, "new": "things"})
    await refused(folder, "format version", "reads version 1", "use the Meltemi that wrote it")


@pytest.mark.parametrize(
    "body",
    [
        *(5, [], None, {}, {"id": ID}, {"id": "x", "deleted": True}, {"id": 5, "deleted": True}),
        *({"id": ID, "deleted": False}, {"id": ID, "metadata": META, "deleted": True}),
        {"id": f"{ID}\n", "metadata": META},
        {"id": "../../../etc/passwd", "metadata": META},
        {"id": ID, "metadata": META | {"file": f"../{ID}.2.json"}},
        {"id": ID, "metadata": META | {"file": f"/{ID}.2.json"}},
        {"id": ID, "metadata": META | {"file": f"{ID}.2.json\x00"}},
        {"id": ID, "metadata": META | {"file": f"{OTHER}.2.json"}},
        {"id": ID, "metadata": META | {"file": f"{ID}.0.json"}},
        {"id": ID, "metadata": META | {"file": f"{ID}.02.json"}},
        {"id": ID, "metadata": META | {"file": f"{ID}.raw"}},
        {"id": ID, "metadata": META | {"size": -1}},
        {"id": ID, "metadata": META | {"size": 5.0}},
        {"id": ID, "metadata": META | {"size": True}},
        {"id": ID, "metadata": META | {"sha512": "0" * 127}},
        {"id": ID, "metadata": META | {"more": 1}},
        {"id": ID, "metadata": META, "data": META},
        {"id": ID, "metadata": META, "data": META | {"file": f"{ID}.sh"}},
        {"id": ID, "metadata": META, "data": META | {"file": f"{ID}.part"}},
        {"id": ID, "metadata": META, "data": META | {"file": f"x/{ID}.raw"}},
        {"id": ID, "metadata": META, "more": 1},
    ],
)
async def test_lines_that_no_writer_writes_are_refused(folder: Path, body: object) -> None:
    rewrite(folder, *lines(folder), body)
    await refused(folder, "manifest.jsonl: line 4")


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"\xff\xfe", b"\x00\x00", b"x" * 5000, b'{"id":"\\ud800","deleted":true}'),
        b'{"id":"%b","deleted":true,"deleted":true}' % OTHER.encode(),
        b'{"id":"%b","metadata":NaN}' % OTHER.encode(),
        b'{"id":"%b","metadata":%b}' % (OTHER.encode(), b"9" * 4000),
        b'{"id":"%b","metadata":%b}' % (OTHER.encode(), b"[" * 2000 + b"]" * 2000),
    ],
)
async def test_lines_that_are_no_json_are_refused(folder: Path, raw: bytes) -> None:
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(raw + b"\n")
    await refused(folder, "manifest.jsonl: line 4")


async def test_an_empty_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.jsonl").write_bytes(b"")
    await refused(folder, "manifest.jsonl: line 1", "missing")


async def test_a_huge_manifest_is_refused(folder: Path) -> None:
    os.truncate(folder / "manifest.jsonl", 1 << 40)
    with pytest.raises(ArchiveError, match="more than"):
        await first_use(folder, writable=False)


async def test_an_unfinished_last_line_was_never_said(folder: Path) -> None:
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(b'{"id":"%b","del' % ID.encode())
    assert len(await first_use(folder, writable=False)) == 1
    assert len(await first_use(folder, writable=True)) == 1
    assert (folder / "manifest.jsonl").read_bytes().endswith(b"\n")


async def test_a_deleted_id_does_not_come_back(folder: Path) -> None:
    header, _, entry = lines(folder)
    rewrite(folder, header, {"id": ID, "deleted": True}, entry)
    await refused(folder, "manifest.jsonl: line 3", "deleted before")


async def test_files_of_a_deleted_image_are_cleared_away(folder: Path) -> None:
    rewrite(folder, *lines(folder), {"id": ID, "deleted": True})
    assert await first_use(folder, writable=False) == []
    assert len(list((folder / "images").iterdir())) == 2
    assert await first_use(folder, writable=True) == []
    assert not list((folder / "images").iterdir())


# Metadata whose hash is right


def altered(folder: Path, **changes: object) -> bytes:
    body = json.loads((folder / "images" / f"{ID}.2.json").read_bytes())
    body["image"] |= changes
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "changes",
    [
        *({"id": OTHER}, {"id": None}, {"name": 5}, {"name": ["x"]}, {"name": "\ud800"}),
        *({"status": "queued"}, {"status": "saving"}, {"visibility": "secret"}),
        *({"size": 5}, {"size": "21"}, {"size": None}, {"os_hash_value": SHA}),
        *({"os_hash_value": None}, {"os_hash_algo": "md5"}, {"checksum": "x"}),
        *({"min_disk": -1}, {"min_ram": 1.5}, {"min_ram": None}, {"protected": "yes"}),
        *({"tags": "abc"}, {"tags": [1]}, {"tags": None}, {"created_at": "now"}),
        *({"created_at": None}, {"owner": {}}, {"my_property": 5}, {"my_property": None}),
        {"locations": [{"url": "file:///etc/passwd"}]},
    ],
)
async def test_metadata_that_no_writer_writes_is_refused(
    folder: Path, changes: dict[str, object]
) -> None:
    forge(folder, altered(folder, **changes))
    await refused(folder, f"{ID}.2.json")


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"image":1,"members":[]}'),
        *(b'{"image":{},"image":{},"members":[]}', b'{"image":NaN,"members":[]}'),
        b'{"image":{},"members":[],"more":0}',
    ],
)
async def test_metadata_of_another_form_is_refused(folder: Path, raw: bytes) -> None:
    forge(folder, raw)
    await refused(folder, f"{ID}.2.json")


async def test_huge_metadata_is_refused(folder: Path) -> None:
    header, _, entry = lines(folder)
    entry["metadata"]["size"] = 1 << 40
    rewrite(folder, header, entry)
    os.truncate(folder / "images" / f"{ID}.2.json", 1 << 40)
    with pytest.raises(ArchiveError, match="more than"):
        await first_use(folder, writable=False)


async def test_duplicate_keys_are_refused_at_any_depth(folder: Path) -> None:
    raw = altered(folder).replace(b'"min_ram": 0', b'"min_ram": 0, "min_ram": 0')
    forge(folder, raw)
    await refused(folder, "a key twice")


# Anything at all

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
_file = st.sampled_from([f"{ID}.2.json", f"{ID}.raw", "../lock", f"{OTHER}.raw", ""])
_stored = st.fixed_dictionaries(
    {"file": _file | _json, "size": st.integers() | _json, "sha512": st.just(SHA) | _json}
)
_line = st.fixed_dictionaries(
    {"id": st.sampled_from([ID, OTHER, "..", f"{ID}/.."]) | _json},
    optional={
        "metadata": _stored | _json,
        "data": _stored | _json,
        "deleted": st.booleans() | _json,
        "more": _json,
    },
)

_any = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)


async def harmless(folder: Path, use: Callable[[], Awaitable[object]]) -> None:
    """Assert that an archive is used, or refused in one line, and nothing else happens."""
    try:
        await use()
    except ArchiveError as error:
        text = str(error)
    else:
        return
    assert text.isprintable()
    assert str(folder) in text


@_any
@given(st.lists(_line | _json, max_size=4), st.binary(max_size=30))
async def test_no_manifest_does_harm(folder: Path, bodies: list[object], tail: bytes) -> None:
    raw = b"".join(strictjson.line(body) for body in bodies)
    head = strictjson.line({"format": "meltemi-archive", "version": 1})
    (folder / "manifest.jsonl").write_bytes(head + raw + tail)
    await harmless(folder, lambda: first_use(folder, writable=False))


@_any
@given(_json | st.fixed_dictionaries({"image": _json, "members": _json}))
async def test_no_metadata_does_harm(folder: Path, body: object) -> None:
    forge(folder, json.dumps(body).encode())
    await harmless(folder, lambda: first_use(folder, writable=False))


@_any
@given(st.text().filter(lambda name: name not in (".", "..") and not set(name) & {"/", "\0"}))
async def test_no_name_does_harm(folder: Path, name: str) -> None:
    try:
        path = folder / "images" / name
        path.write_text("?")
    except (OSError, ValueError):
        return
    assert len(await first_use(folder, writable=True)) == 1
    assert path.exists()
    assert shown(path).isprintable()
    path.unlink()

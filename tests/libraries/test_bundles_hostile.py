"""Bundles that were altered, cut, mixed up, or made to do harm: nothing of them counts."""

import os
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest
import zstandard
from blake3 import blake3

from meltemi.chunks.blob import ROOT, SEGMENT, chunk_id, name_blob
from meltemi.chunks.cut import Cut
from meltemi.chunks.head import Head
from meltemi.chunks.manifest import Child, Entry, Root, Segment, encode_root, encode_segment
from meltemi.errors import ArchiveError, MeltemiError, UsageError
from meltemi.libraries.archive import metadata
from meltemi.libraries.archive.bundles import manifest, sealing
from meltemi.libraries.archive.bundles.making import Made
from meltemi.libraries.archive.bundles.manifest import Base, Part, SetManifest
from meltemi.libraries.archive.bundles.records import (
    Blob,
    Deleted,
    Document,
    HeadText,
    Record,
    encode,
)
from meltemi.libraries.archive.bundles.sealing import write_file
from meltemi.libraries.archive.bundles.state import read_state
from meltemi.libraries.archive.dedup.contents import name_of
from meltemi.libraries.archive.dedup.documents import seal
from meltemi.model.image import Hashes, Image
from tests.chunks.commanding import flip
from tests.chunks.making import Tree, some_entries
from tests.libraries.archiving import ID, image
from tests.libraries.carrying import (
    FORGED,
    apply,
    bundles_of,
    forge,
    make,
    names,
    seen,
    sound,
    writing,
)
from tests.libraries.handling import DATA, MIB, hashes_of, pieces

OTHER = ID.replace("1", "2")


@pytest.fixture
async def made(tmp_path: Path) -> Made:
    """Give a set of two bundles."""
    library = writing(tmp_path / "near")
    await library.create(image())
    await library.upload(ID, len(DATA), pieces(DATA))
    await library.close()
    made = make(tmp_path / "near", tmp_path / "disk")
    assert made.bundles == 2
    return made


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Path]:
    """Give an archive of one image, which is the same afterwards."""
    folder = tmp_path / "far"
    library = writing(folder)
    await library.create(image(id=OTHER))
    await library.upload(OTHER, 5, pieces(b"other"))
    await library.close()
    before = await seen(folder)
    yield folder
    assert await seen(folder) == before
    library = writing(folder)
    await library.close()
    assert sound(folder)


def refuse(path: Path, far: Path, match: str = "nothing was applied") -> None:
    """See that a set is refused, by an archive that is there and by one that is not."""
    for folder in (far, far.parent / "new"):
        with pytest.raises(ArchiveError, match=match):
            apply(path, folder)
    assert all("json" not in name for name in names(far / "applied"))


# Altered on the way


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _stretched(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(8))


def _a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS = [_cut, _emptied, _stretched, _a_link, _a_pipe, _a_folder]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("harm", HARMS)
def test_a_bundle_that_is_not_what_was_made(
    made: Made, far: Path, number: int, harm: Callable[[Path], None]
) -> None:
    harm(bundles_of(made)[number])
    refuse(made.path, far, match=bundles_of(made)[number].name)
    assert names(far.parent / "new") == []


@pytest.mark.parametrize("harm", HARMS)
def test_a_set_that_is_not_what_was_made(
    made: Made, far: Path, harm: Callable[[Path], None]
) -> None:
    harm(made.path)
    refuse(made.path, far, match=made.path.name)
    assert names(far.parent / "new") == []


def test_flipped_bits_of_bundles(made: Made, far: Path) -> None:
    chance = Random(1)
    for path in bundles_of(made):
        size = path.stat().st_size
        for at in [*range(0, 300, 7), *(chance.randrange(size) for _ in range(20)), size - 1]:
            flip(path, at)
            refuse(made.path, far, match=path.name)
            flip(path, at)


def test_flipped_bits_of_the_set(made: Made, far: Path) -> None:
    for at in range(made.path.stat().st_size):
        flip(made.path, at)
        refuse(made.path, far, match=made.path.name)
        flip(made.path, at)


@pytest.mark.parametrize("number", [0, 1])
def test_a_bundle_that_is_missing_is_named(made: Made, far: Path, number: int) -> None:
    path = bundles_of(made)[number]
    path.unlink()
    refuse(made.path, far, match=rf"of 2 bundles there is no {path.name};")


def test_a_set_that_is_missing_is_told(made: Made, far: Path) -> None:
    for path in (made.path.with_name("other.set"), made.path / "other.set"):
        with pytest.raises(UsageError):
            apply(path, far)


def test_bundles_that_changed_places(made: Made, far: Path) -> None:
    first, second = bundles_of(made)
    first.rename(first.with_name("x"))
    second.rename(first)
    first.with_name("x").rename(second)
    refuse(made.path, far)


async def test_a_bundle_of_another_set(made: Made, far: Path) -> None:
    other = make(far.parent / "near", far.parent / "other")
    bundles_of(other)[0].replace(bundles_of(made)[0])
    refuse(made.path, far, match="it does not say what it is, or is another one")


@pytest.mark.parametrize("harm", [_cut, _emptied, _stretched, _a_link, _a_folder])
def test_a_state_that_is_none(made: Made, harm: Callable[[Path], None]) -> None:
    path = made.path.with_suffix(".state")
    assert read_state(path).after == made.path.stem
    harm(path)
    with pytest.raises(ArchiveError, match=path.name):
        read_state(path)


# Made to do harm


def told(data: bytes = b"", image_id: str = ID, **attributes: object) -> Image:
    """Give an image as its metadata tells of it."""
    times = {"created_at": "2020-01-02T03:04:05Z", "updated_at": "2020-01-02T03:04:05Z"}
    facts = {"status": "active", "size": len(data), "hashes": hashes_of(data, "sha512")}
    return image(**{"id": image_id, **times, **facts, **attributes})


def document(one: Image, version: int = 1, image_id: str = "") -> Document:
    raw = metadata.encode(one, ())
    return Document(image_id or one.id, version, seal(image_id or one.id, version, raw))


def queued() -> Document:
    return document(told(status="queued", size=None, hashes=Hashes()))


def blob(data: bytes = b"data") -> Blob:
    return Blob(chunk_id(data), 0, len(data), data)


def tree(*chunks: bytes) -> tuple[Tree, list[Record]]:
    """Give the manifest of some chunks, and the records of all its blobs."""
    made = Tree([Entry(len(chunk), chunk_id(chunk)) for chunk in chunks])
    blobs = {**made.blobs, **{chunk_id(chunk): chunk for chunk in chunks}}
    return made, [Blob(name, 0, len(data), data) for name, data in blobs.items()]


def head(made: Tree, one: Image, name: str = "") -> HeadText:
    hashes = {"md5": one.hashes.checksum or "", "sha512": one.hashes.value or ""}
    made_head = Head(
        name or name_of(one.id), made.root_id, one.size or 0, Cut.CONTENT.label, hashes
    )
    return HeadText(made_head.id, made_head.encode())


@pytest.mark.parametrize(
    "record",
    [
        Blob(chunk_id(b"this"), 0, 4, b"that"),
        Blob(chunk_id(b"this"), 0, 5, b"this"),
        Blob(chunk_id(b"this"), 2, 4, b"this"),
        Blob(chunk_id(b"this"), 1, 4, b"no zstd"),
        Blob(chunk_id(b"this"), 0, 2**20 + 1, b"this"),
        Document(ID, 1, b""),
        Document(ID, 0, document(told()).content),
        Document(ID, 2, document(told()).content),
        Document(OTHER, 1, document(told()).content),
        document(told(image_id=OTHER), image_id=ID),
        Document("../../../../../../../../tmp/evil-evil"[:36], 1, document(told()).content),
        Deleted("../../../../../../../../tmp/evil-evil"[:36]),
        HeadText("0" * 32, "{}"),
        HeadText("0" * 32, "half a line"),
        HeadText("../../../../../../../../tmp/evil", "{}"),
    ],
)
def test_a_record_that_cannot_be(far: Path, record: Record) -> None:
    refuse(forge(far.parent / "forged", [record]), far, match="applied")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00",
        struct.pack("<BI", 9, 0),
        struct.pack("<BI", 0, 0),
        struct.pack("<BI", 4, 2**32 - 1) + b"x",
        struct.pack("<BI", 2, 17 * MIB) + b"x",
        struct.pack("<BI", 4, 100) + b"x",
        struct.pack("<BI", 4, 3) + b"xyz",
        struct.pack("<BI", 2, 3) + b"xyz",
        struct.pack("<BI", 3, 3) + b"xyz",
        struct.pack("<BI", 1, 3) + b"xyz",
        struct.pack("<BI", 1, 36) + b"\xff" * 36,
        encode(blob()) + encode(Deleted(ID)),
    ],
)
def test_bytes_that_are_no_records(far: Path, raw: bytes) -> None:
    folder = far.parent / "forged"
    folder.mkdir()
    header = manifest.header(FORGED, 1, 1)
    (folder / manifest.bundle_name(FORGED, 1)).write_bytes(header + raw)
    part = Part(len(header + raw), blake3(raw).hexdigest())
    path = folder / f"{FORGED}.set"
    write_file(path, SetManifest(FORGED, [part]).encode())
    refuse(path, far, match=manifest.bundle_name(FORGED, 1))


def test_a_bomb_takes_no_memory(far: Path) -> None:
    """A frame that tells, or hides, that it has a gigabyte."""
    for size in (2**30, -1):
        coder = zstandard.ZstdCompressor().compressobj(size=size)
        frame = b"".join([coder.compress(bytes(MIB)) for _ in range(1024)]) + coder.flush()
        path = forge(far.parent / f"forged {size}", [Blob(chunk_id(bytes(MIB)), 1, MIB, frame)])
        tracemalloc.start()
        try:
            refuse(path, far, match="not what its name says")
            assert tracemalloc.get_traced_memory()[1] < 100 * MIB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("lacking", "complaint"),
    [
        ("head", "it does not bring the data"),
        ("chunk", "is not complete"),
        ("root", "is not complete"),
        ("hash", "it does not bring the data"),
        ("name", "it does not bring the data"),
        ("once", "is in it twice"),
    ],
)
def test_a_set_that_does_not_hold_together(far: Path, lacking: str, complaint: str) -> None:
    data = [b"a" * 1000, b"b" * 1000]
    one = told(b"".join(data))
    made, blobs = tree(*data)
    records: list[Record] = [document(one), head(made, one), *blobs]
    match lacking:
        case "head":
            del records[1]
        case "chunk":
            records = [r for r in records if not (isinstance(r, Blob) and r.stored == data[1])]
        case "root":
            records = [r for r in records if not (isinstance(r, Blob) and r.id == made.root_id)]
        case "hash":
            records[1] = head(made, told(b"other"))
        case "name":
            records[1] = head(made, one, name=name_of(OTHER))
        case "once":
            records.insert(1, document(one, version=2))
    refuse(forge(far.parent / "forged", records), far, match=complaint)


async def test_one_that_does_is_applied(tmp_path: Path) -> None:
    """So that the others are refused for what is wrong with them."""
    data = [b"a" * 1000, b"b" * 1000]
    one = told(b"".join(data))
    made, blobs = tree(*data)
    apply(forge(tmp_path / "forged", [document(one), head(made, one), *blobs]), tmp_path / "new")
    assert await seen(tmp_path / "new") == {ID: (one, (), b"".join(data))}


async def test_data_that_is_not_what_its_hashes_say_is_not_loaded(tmp_path: Path) -> None:
    """Who makes a set can say anything of an image; `verify`, as before each load, sees it."""
    one = told(b"what it should be")
    made, blobs = tree(b"what it should b?")
    apply(forge(tmp_path / "forged", [document(one), head(made, one), *blobs]), tmp_path / "new")
    library = writing(tmp_path / "new")
    with pytest.raises(MeltemiError, match="is not what was written"):
        await library.verify(ID)  # type: ignore[attr-defined]
    await library.close()


def rooted(root: bytes, one: Image, *segments: bytes) -> list[Record]:
    """Give the records of an image of any manifest."""
    made = Tree(())
    made.root_id = name_blob(ROOT, root)
    named = [(made.root_id, root), *((name_blob(SEGMENT, raw), raw) for raw in segments)]
    blobs = [Blob(name, 0, len(raw), raw) for name, raw in named]
    return [document(one), head(made, one), *blobs]


@pytest.mark.parametrize("root", [b"", b"M1", b"M1\x01" + b"\xff" * 20, bytes(100)])
def test_a_manifest_of_nonsense(far: Path, root: bytes) -> None:
    refuse(forge(far.parent / "forged", rooted(root, told(b"data"))), far)


def test_a_manifest_that_descends_for_ever(far: Path) -> None:
    segment = encode_segment(Segment(0, entries=[Entry(4)]))
    segments = [segment]
    for _ in range(2000):
        child = Child(4, name_blob(SEGMENT, segments[-1]))
        segments.append(encode_segment(Segment(1, children=[child])))
    top = Segment(1, children=[Child(4, name_blob(SEGMENT, segments[-1]))])
    root = encode_root(Root(Cut.CONTENT, 4, top))
    path = forge(far.parent / "forged", rooted(root, told(bytes(4)), *segments))
    refuse(path, far, match="on the wrong level")


def test_a_queued_image_cannot_take_away_data(far: Path) -> None:
    raw = metadata.encode(told(image_id=OTHER, status="queued", size=None, hashes=Hashes()), ())
    path = forge(far.parent / "forged", [Document(OTHER, 9, seal(OTHER, 9, raw))])
    with pytest.raises(ArchiveError, match="has other data here"):
        apply(path, far)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "meltemi-bundle"},
        {"version": 2},
        {"set": "../../../tmp/evil"},
        {"set": FORGED.upper()},
        {"after": "../x"},
        {"after": "20261126t120000z-0000000000000000"},
        {"bundles": []},
        {"bundles": [{"size": -1, "blake3": "0" * 64}]},
        {"bundles": [{"size": 2**70, "blake3": "0" * 64}]},
        {"bundles": [{"size": 10, "blake3": "x"}]},
        {"bundles": [{"size": 10, "blake3": "0" * 64, "name": "/etc/passwd"}]},
        {"bases": [{"manifest": "00", "image": "x"}]},
        {"bases": [{"manifest": "03" + "0" * 64, "image": "red\x1b[31m"}]},
        {"more": 1},
    ],
)
def test_a_set_that_says_what_cannot_be(far: Path, change: dict[str, object]) -> None:
    path = forge(far.parent / "forged", [queued()], [Base(Tree(some_entries(1)).root_id, "x")])
    [facts] = sealing.unseal(path.read_bytes())
    write_file(path, sealing.seal([{**facts, **change}]))
    with pytest.raises(ArchiveError) as caught:
        apply(path, far)
    assert str(caught.value).isprintable()

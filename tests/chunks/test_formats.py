"""Formats, byte for byte: what docs/chunk-store.md says, and what must never change."""

import json
import struct
from uuid import UUID

import pytest
from blake3 import blake3

from meltemi.chunks import pack
from meltemi.chunks.blob import (
    CHUNK,
    ROOT,
    SEGMENT,
    BlobId,
    chunk_id,
    has_name,
    name_blob,
    parse_id,
)
from meltemi.chunks.cut import Cut, Cutter
from meltemi.chunks.head import Head, checked_name
from meltemi.chunks.manifest import Child, Entry, Segment, encode_segment
from meltemi.chunks.pack import PackBuilder, pack_object
from meltemi.errors import UsageError
from tests.chunks.making import Tree, holey, some_chunk, some_entries

CHUNK_ID = "01af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
"""The BLAKE3 of nothing, as its authors publish it."""

PACK_ID = "00112233445566778899aabbccddeeff"

NAMES = [
    "0186f7bfb771b5cd6a3a8c722d7805b8f4a237d1d4406b8ed7ec9b0cd8a6013232",
    "0247499f34a779c3f8cdcdff60eba3f653b6aa96be23074c43ff146533e9fa20b8",
    "03a20ddcaf7498cdee8788de14a99664e1ff61a8d3ce0b4bddf32ad803fb5566ac",
]
REAL_ROOT = "03bf6419f089e8a77c18d282a2e5f69e5abd6960b9e3bc999f3c09189afa79cafc"
LARGE_ROOT = "036b259fb40d606aea13057c347d2e021947985befa01b8f977c8315fb05301a0e"
LARGE_BLOBS = 375
LARGE_NAMES = "02d4023df45d9248c656cc2500718111695eb361663b2aeee1a6ef12015ba442"
PACK_HASH = "bbd27f80e6d6138dbf79eb8f7dd3fd7b4b8be7e433a830b16d25077dfaa151c4"


def test_names_of_blobs() -> None:
    assert chunk_id(b"").hex() == CHUNK_ID
    assert name_blob(CHUNK, b"").hex() == CHUNK_ID
    for tag, context in (
        (SEGMENT, "meltemi 2026-11-20 manifest segment"),
        (ROOT, "meltemi 2026-11-20 manifest root"),
    ):
        found = blake3(b"meltemi", derive_key_context=context).digest()
        assert name_blob(tag, b"meltemi") == bytes([tag]) + found
    assert [name_blob(tag, b"meltemi").hex() for tag in (CHUNK, SEGMENT, ROOT)] == NAMES


def test_a_name_fits_its_bytes_only() -> None:
    for tag in (CHUNK, SEGMENT, ROOT):
        name = name_blob(tag, b"data")
        assert has_name(b"data", name)
        assert has_name(bytearray(b"data"), name)
        assert not has_name(b"date", name)
        assert not has_name(b"data", BlobId(bytes([tag % 3 + 1]) + name[1:]))
        assert not has_name(b"data", BlobId(b"\x04" + name[1:]))
        assert parse_id(name.hex()) == name


@pytest.mark.parametrize("text", ["", "01", CHUNK_ID + "00", "zz" * 33, f" {CHUNK_ID[1:]}"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not the name of a blob"):
        parse_id(text)


def test_a_leaf() -> None:
    entries = [
        Entry(65536),
        Entry(5, some_chunk(1)),
        Entry(300, some_chunk(2), 200),
    ]
    assert encode_segment(Segment(0, entries=entries)) == (
        b"\x00"
        b"\x80\x80\x10"  # 65536 * 4
        b"\x15"  # 5 * 4 + 1
        + some_chunk(1)
        + b"\xb2\x09"  # 300 * 4 + 2
        + b"\xc8\x01"  # 200
        + some_chunk(2)
    )


def test_an_inner_segment() -> None:
    segment = name_blob(SEGMENT, b"")
    found = encode_segment(Segment(2, children=[Child(127, segment), Child(128, segment)]))
    assert found == b"\x02\x7f" + segment + b"\x80\x01" + segment


def test_a_small_manifest() -> None:
    tree = Tree([Entry(65536), Entry(5, some_chunk(1))])
    expected = b"M1\x01\x85\x80\x04" + b"\x00\x80\x80\x10\x15" + some_chunk(1)
    assert tree.blobs == {name_blob(ROOT, expected): expected}


def test_a_manifest_of_no_data() -> None:
    assert Tree([], Cut.FIXED).blobs == {name_blob(ROOT, b"M1\x02\0\0"): b"M1\x02\0\0"}


def test_a_manifest_of_real_data() -> None:
    cutter = Cutter(Cut.CONTENT)
    cutter.hold(holey(7))
    pieces = cutter.finish()
    entries = [
        Entry(piece.length, None if piece.data is None else chunk_id(piece.data))
        for piece in pieces
    ]
    assert Tree(entries).root_id.hex() == REAL_ROOT


def test_a_large_manifest() -> None:
    tree = Tree(some_entries(200_000))
    assert tree.root_id.hex() == LARGE_ROOT
    assert len(tree.blobs) == LARGE_BLOBS
    every = blake3(b"".join(sorted(tree.blobs)))
    assert every.hexdigest() == LARGE_NAMES


def test_a_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "uuid4", lambda: UUID(PACK_ID))
    builder = PackBuilder()
    segment = name_blob(SEGMENT, b"\0" + b"\x04" * 9)
    builder.add(chunk_id(b"meltemi"), 0, b"meltemi", 7)
    builder.add(segment, 1, b"squeezed", 10)
    header = b"MLTPACK1" + bytes.fromhex(PACK_ID)
    footer = chunk_id(b"meltemi") + struct.pack("<BII", 0, 7, 7)
    footer += segment + struct.pack("<BII", 1, 8, 10)
    count = struct.pack("<I", 2)
    told = blake3(header + footer + count).digest()
    data = bytes(builder.close())
    assert data == header + b"meltemisqueezed" + footer + count + told + b"MLTPEND1"
    assert blake3(data).hexdigest() == PACK_HASH
    assert pack_object(PACK_ID) == f"packs/00/{PACK_ID}"


HEAD = Head(
    name="debian 12",
    manifest=name_blob(ROOT, b"M1\x02\0\0"),
    size=0,
    cut="fixed-64k",
    hashes={"sha512": "cf83", "md5": "d41d"},
    created="2026-11-20T12:00:00+00:00",
    id=PACK_ID,
)


def test_a_head() -> None:
    line = (
        '{"created": "2026-11-20T12:00:00+00:00", "cut": "fixed-64k", '
        '"hashes": {"md5": "d41d", "sha512": "cf83"}, '
        f'"manifest": "{HEAD.manifest.hex()}", "name": "debian 12", "size": 0, "version": 1}}'
    )
    text = HEAD.encode()
    assert text == f"{line}\n{blake3(line.encode()).hexdigest()}\n"
    assert HEAD.object == f"heads/{PACK_ID}"
    assert Head.decode(PACK_ID, text) == HEAD


def test_a_new_head_has_a_name_of_its_own_and_the_time() -> None:
    first, second = (Head("a", HEAD.manifest, 0, "cdc-64k", {}) for _ in range(2))
    assert first.id != second.id
    assert len(first.id) == 32
    assert first.created.endswith("+00:00")


def test_every_change_of_a_head_is_noticed() -> None:
    text = HEAD.encode()
    changed = [text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :] for at in range(len(text))]
    shortened = [text[:at] for at in range(len(text))]
    for bad in [*changed, *shortened, text + "\n", text + " ", text + text]:
        with pytest.raises(ValueError, match=r"."):
            Head.decode(PACK_ID, bad)


@pytest.mark.parametrize(
    "line",
    [
        *("[]", "7", "null", '"text"', "{}", '{"version": 2}', '{"version": 1}', "{", ""),
        '{"version": 1, "manifest": 7, "cut": "cdc-64k"}',
        HEAD.encode().partition("\n")[0].replace("fixed-64k", "fixed-1k"),
        HEAD.encode().partition("\n")[0].replace('"size"', '"sizes"'),
        HEAD.encode().partition("\n")[0].replace(HEAD.manifest.hex(), CHUNK_ID),
        HEAD.encode().partition("\n")[0].replace('"size"', '"more": 1, "size"'),
        *(
            json.dumps({**json.loads(HEAD.encode().partition("\n")[0]), key: value})
            for key, value in [
                *(("name", name) for name in (7, None, "", "\x1b[2J", "a" * 256)),
                *(("size", size) for size in ("7", -1, 1.5, True, None, 2**63)),
                *(("hashes", hashes) for hashes in (7, "md5", ["md5"], {"md5": 7})),
                *(("manifest", None), ("cut", []), ("created", 7)),
            ]
        ),
    ],
)
def test_a_head_with_its_hash_is_not_believed_everything(line: str) -> None:
    text = f"{line}\n{blake3(line.encode()).hexdigest()}\n"
    with pytest.raises(ValueError, match=r"."):
        Head.decode(PACK_ID, text)


@pytest.mark.parametrize("name", ["", "a" * 256, "two\nlines", "\x1b[1m", "nul\0"])
def test_names_that_an_image_must_not_have(name: str) -> None:
    with pytest.raises(UsageError, match="characters"):
        checked_name(name)
    assert checked_name("Debian 12 – größer") == "Debian 12 – größer"  # noqa: RUF001 - a name

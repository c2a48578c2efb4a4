"""An index that is damaged: data is right or missing, and a new index makes all good again."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from meltemi.chunks.blob import chunk_id
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.opening import open_store
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.errors import StoreError
from tests.chunks.faults.damaging import complaint, flip, read_all
from tests.chunks.faults.rig import Rig, block


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blobs SET offset = offset + 1",
        "UPDATE blobs SET offset = -5",
        "UPDATE blobs SET offset = 'far'",
        "UPDATE blobs SET stored = stored - 1",
        "UPDATE blobs SET stored = 1 << 60",
        "UPDATE blobs SET stored = -1",
        "UPDATE blobs SET length = length + 64",
        "UPDATE blobs SET length = 1 << 40",
        "UPDATE blobs SET coding = 1 - coding",
        "UPDATE blobs SET coding = 77",
        "UPDATE blobs SET pack = (SELECT max(number) FROM packs)",
        "UPDATE blobs SET pack = 1000",
        "UPDATE blobs SET bad = 1",
        "DELETE FROM blobs",
        "DELETE FROM packs",
        "UPDATE packs SET state = 0",
        "UPDATE packs SET state = 2, noted = 0",
        "UPDATE packs SET size = size + 1024",
        "UPDATE packs SET size = 0",
        "DELETE FROM blobs WHERE hex(id) LIKE '01%'",
        "UPDATE blobs SET pack = (SELECT max(number) FROM packs) WHERE hex(id) LIKE '01%'",
        "UPDATE blobs SET pack = 1000 WHERE hex(id) LIKE '01%'",
        "UPDATE blobs SET id = CAST(substr(id, 1, 32) || x'2f' AS BLOB) WHERE hex(id) LIKE '01%'",
        "DELETE FROM heads",
        "UPDATE heads SET state = 0",
        "UPDATE heads SET name = name || '?'",
        "UPDATE heads SET record = replace(record, 'a', 'b')",
        "UPDATE facts SET value = value + 8 WHERE name = 'published'",
        "UPDATE facts SET value = value + 8 WHERE name = 'scrub'",
    ],
)
def test_a_row_of_the_index_that_is_wrong(statement: str, filled: Rig) -> None:
    """Whatever the index says, data is right or missing, and reindexing makes all good again."""
    with filled.sql() as connection:
        connection.exec_driver_sql(statement)
    for name, line in read_all(filled).items():
        assert name in line
    complaint(lambda: check(filled.store))
    complaint(lambda: scrub(filled.store))
    complaint(lambda: collect(filled.store))
    reindex(filled.store)
    filled.see_clean()


def test_a_row_that_tells_of_a_blob_where_it_is_not(filled: Rig) -> None:
    """Nothing needs the blob any more, and it goes; the row would be a hit for who brings it."""
    known, wrong = chunk_id(block(5)).hex(), filled.pack_of(block(1))
    with filled.sql() as connection:
        number = f"(SELECT number FROM packs WHERE id = '{wrong}')"
        connection.exec_driver_sql(f"UPDATE blobs SET pack = {number} WHERE id = x'{known}'")
    filled.remove("three")
    collect(filled.store)
    [problem] = check(filled.store).problems
    assert problem.startswith(f"pack {wrong}: the index tells of 1 blobs that are not there")
    reindex(filled.store)
    assert check(filled.store).problems == []
    filled.put("three", 5)
    filled.see_clean()


@pytest.mark.parametrize(
    "change",
    [
        "pack = (SELECT number FROM packs WHERE number != pack LIMIT 1)",
        "offset = offset | 1 << 20",
        "stored = stored - 1",
        "length = length + 4",
        "coding = 1 - coding",
        "seal = seal + 1",
    ],
)
def test_a_put_relies_on_no_row_that_is_not_what_was_written(change: str, filled: Rig) -> None:
    filled.put("other", 1000)
    with filled.sql() as connection:
        connection.exec_driver_sql(f"UPDATE blobs SET {change} WHERE id = x'{_hex(1)}'")
    filled.put("again", 1)
    filled.see_all()
    assert filled.read("again") == block(1)
    assert check(filled.store).problems == []


def _hex(number: int) -> str:
    return chunk_id(block(number)).hex()


def test_an_index_that_lets_a_needed_pack_go(filled: Rig) -> None:
    with filled.sql() as connection:
        connection.exec_driver_sql("UPDATE packs SET state = 3")
    with pytest.raises(StoreError, match=r"index is damaged: .*new index.*reindex"):
        collect(filled.store)
    filled.see_all()


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_in_the_file_of_the_index(seed: int, filled: Rig, tmp_path: Path) -> None:
    """It may be a row or the database's own structure: a new index is always the way out."""
    path = tmp_path / "store" / "index.sqlite"
    filled.store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    chance = Random(seed)
    for _ in range(3):
        flip(path, chance, 0, path.stat().st_size)
    opened: list[Rig] = []
    complaint(lambda: opened.append(Rig(open_store(str(tmp_path / "store")))))
    for rig in opened:
        rig.truth = filled.truth
        read_all(rig)
        for act in (check, scrub, collect):
            complaint(lambda act=act, rig=rig: act(rig.store))  # type: ignore[misc]
        rig.store.close()
    for file in (tmp_path / "store").glob("index.sqlite*"):
        file.unlink()
    rig = Rig(open_store(str(tmp_path / "store")))
    rig.truth = filled.truth
    reindex(rig.store)
    rig.see_clean()
    rig.store.close()

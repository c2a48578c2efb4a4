"""`meltemi store …` on a store that is damaged: what is named, and how it is mended."""

import json
import shutil
from pathlib import Path

import pytest

from tests.chunks.commanding import Keeper, flip
from tests.chunks.making import MIB, noise

DATA = noise(100, 2 * MIB)
BAD = 9


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    """Give a store with two images that share all but a little."""
    made = Keeper(tmp_path)
    made.run("init")
    made.put("one", DATA)
    made.put("two", DATA + b"more")
    return made


def problems(keeper: Keeper, verb: str) -> list[str]:
    return [row["Problem"] for row in keeper.rows(verb, code=BAD)]


def test_a_bit_that_flipped_is_found_named_and_healed(keeper: Keeper) -> None:
    flip(keeper.packs()[0], MIB)
    keeper.run("check")  # reads no data
    error = keeper.run("get", "one", "-o", "got", code=BAD).complaint
    assert error.startswith("meltemi: image one: ")
    assert "is damaged; putting the same data again heals it" in error
    assert not (keeper.folder / "got").exists()
    assert keeper.piped("get", "two").returncode == BAD
    found = problems(keeper, "check")
    assert sorted(line.split(":")[0] for line in found if line.startswith("image")) == [
        "image one",
        "image two",
    ]
    assert len(problems(keeper, "scrub")) == 1
    assert 0 < keeper.put("three", DATA)["Stored"] < MIB
    assert keeper.rows("check") == []
    assert keeper.get("one") == DATA
    keeper.run("gc")
    assert keeper.get("two") == DATA + b"more"


def test_a_scrub_finds_what_nobody_has_read(keeper: Keeper) -> None:
    flip(keeper.packs()[0], MIB)
    done = keeper.run("scrub", code=BAD)
    assert "is damaged" in done.out
    assert "1 problem; meltemi store check names the images" in done.err
    assert any(line.startswith("image one: ") for line in problems(keeper, "check"))


def test_damage_that_no_image_needs_goes(keeper: Keeper) -> None:
    keeper.put("three", noise(101, MIB))
    keeper.run("delete", "one", "two")
    flip(keeper.packs()[0], MIB)
    done = keeper.run("scrub", code=BAD)
    assert "meltemi store gc removes or mends the rest" in done.err
    assert [line.split(":")[0].split()[0] for line in problems(keeper, "check")] == ["pack"]
    keeper.run("gc")
    assert keeper.rows("check") == []
    assert keeper.rows("scrub") == []


def test_a_footer_that_is_damaged_is_written_anew(keeper: Keeper) -> None:
    pack = keeper.packs()[0]
    flip(pack, pack.stat().st_size - 50)
    assert "its footer does not have its hash" in problems(keeper, "check")[0]
    assert keeper.row("gc")["Rewritten"] == 1
    assert keeper.rows("check") == []
    assert keeper.get("one") == DATA


def test_a_pack_that_is_gone(keeper: Keeper) -> None:
    keeper.packs()[0].unlink()
    found = problems(keeper, "check")
    assert any(line.startswith("image two: ") for line in found)
    assert "nothing was deleted" in keeper.run("gc", code=BAD).complaint
    done = keeper.run("reindex", "-f", "json")
    assert [row["Dropped"] for row in done.rows] == [1]
    assert "the index knew it, it is not stored any more" in done.err
    keeper.put("three", DATA)
    assert keeper.rows("check") == []
    assert keeper.get("one") == DATA


def test_a_head_that_is_gone(keeper: Keeper) -> None:
    heads = keeper.folder / "store" / "heads"
    [one] = [head for head in heads.iterdir() if '"name": "one"' in head.read_text()]
    one.unlink()
    assert any(line.startswith("image one: ") for line in problems(keeper, "check"))
    done = keeper.run("reindex")
    assert "image one: the index knew it, it is not stored any more" in done.err
    assert [row["Name"] for row in keeper.rows("list")] == ["two"]


def test_a_head_that_is_damaged(keeper: Keeper) -> None:
    head = next((keeper.folder / "store" / "heads").iterdir())
    flip(head, 20)
    assert len(problems(keeper, "check")) == 1
    done = keeper.run("reindex", code=BAD)
    assert head.name in done.err
    assert "1 problem; meltemi store check names the images" in done.err


@pytest.mark.parametrize("part", ["index.sqlite", "nothing"])
def test_an_index_that_is_lost_is_not_taken_for_an_empty_store(keeper: Keeper, part: str) -> None:
    index = keeper.folder / "store" / "index.sqlite"
    index.unlink()
    if part == "index.sqlite":
        index.write_bytes(b"")
    for words in (["list"], ["get", "one"], ["put", "three", "data"], ["gc"], ["check"]):
        error = keeper.run(*words, code=BAD).complaint
        assert "rebuild it (meltemi store reindex store)" in error
    assert keeper.row("reindex")["Images"] == 2
    assert keeper.get("two") == DATA + b"more"
    assert keeper.rows("check") == []


def test_an_index_that_is_damaged_is_made_anew(keeper: Keeper) -> None:
    index = keeper.folder / "store" / "index.sqlite"
    index.write_bytes(b"nothing that a database would have" * 1000)
    assert "file is not a database" in keeper.run("list", code=BAD).complaint
    index.unlink()
    keeper.run("reindex")
    assert keeper.get("one") == DATA


def test_an_index_of_yesterday(keeper: Keeper) -> None:
    index = keeper.folder / "store" / "index.sqlite"
    shutil.copy(index, keeper.folder / "backup")
    keeper.put("three", noise(101, MIB))
    keeper.run("delete", "one")
    shutil.copy(keeper.folder / "backup", index)
    found = problems(keeper, "check")
    assert any("is unknown to the index: meltemi store reindex" in line for line in found)
    keeper.run("reindex")
    assert [row["Name"] for row in keeper.rows("list")] == ["three", "two"]
    assert keeper.rows("check") == []
    keeper.run("gc")
    assert keeper.get("three") == noise(101, MIB)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("{", BAD, "store.json is damaged; restore it from a backup"),
        ("[]", BAD, "store.json is damaged"),
        ('{"format": 1}', BAD, "store.json is damaged"),
        ('{"format": 2, "id": "x"}', BAD, "a store of format 2, which this Meltemi does not know"),
        ('{"format": 1, "id": "x"}', 2, "this index is of another store"),
    ],
)
def test_a_store_that_is_not_what_it_should_be(
    keeper: Keeper, text: str, code: int, told: str
) -> None:
    file = keeper.folder / "store" / "store.json"
    before = file.read_text()
    file.write_text(text)
    for verb in ("list", "reindex", "check"):
        assert told in keeper.run(verb, code=code).complaint
    file.write_text(before)
    assert json.loads(before)["format"] == 1
    assert keeper.rows("check") == []

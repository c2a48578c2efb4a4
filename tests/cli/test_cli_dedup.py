"""Archives that store every piece of data once, from the command line."""

import json
from pathlib import Path
from random import Random

import pytest

from tests.chunks.commanding import Keeper, flip
from tests.support.archives import make_archive
from tests.support.cli import meltemi, succeed

BUILD = Random(1).randbytes(2_000_000)
NEXT = BUILD[:900_000] + b"changed" + BUILD[900_000:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a plain archive of one image."""
    make_archive(tmp_path / "plain", {"build 1": BUILD})
    return tmp_path


def weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("packs/*/*"))


def test_there_and_back(folder: Path) -> None:
    done = succeed("dump", "./plain", "vault", "--dedup", "-f", "json", cwd=folder)
    assert [row["Result"] for row in done.rows] == ["done"]
    assert (folder / "vault" / "store.json").is_file()
    before = weight(folder / "vault")
    # It is seen what kind of archive is there.
    assert succeed("dump", "./plain", "vault", cwd=folder).idle
    make_archive(folder / "next", {"build 2": NEXT})
    succeed("dump", "./next", "vault", "--dedup", cwd=folder)
    assert weight(folder / "vault") - before < len(BUILD) / 5
    assert succeed("compare", "./plain", "./vault", cwd=folder).idle
    sizes = succeed("size", "./vault", "-f", "json", cwd=folder).rows
    assert (sizes[0]["Images"], sizes[0]["Bytes"]) == (2, len(BUILD) + len(NEXT))
    succeed("load", "./back", "vault", cwd=folder)
    assert succeed("compare", "./vault", "./back", cwd=folder).idle
    found = {path.read_bytes() for path in (folder / "back/images").glob("*.raw")}
    assert found == {BUILD, NEXT}
    for command in ("check", "scrub", "gc"):
        Keeper(folder, "vault").run(command)
    assert succeed("compare", "./vault", "./back", cwd=folder).idle


def test_what_was_altered_is_not_loaded(folder: Path) -> None:
    succeed("dump", "./plain", "vault", "--dedup", cwd=folder)
    pack = max((folder / "vault").rglob("packs/*/*"), key=lambda path: path.stat().st_size)
    flip(pack, 500_000)
    done = meltemi("load", "./back", "vault", code=8, cwd=folder)
    assert "nothing was loaded" in done.about("build 1", "is damaged")
    assert not (folder / "back").exists()
    [document] = (folder / "vault/images").iterdir()
    flip(document, 100)
    done = meltemi("load", "./back", "vault", code=8, cwd=folder)
    assert "was altered" in done.complaint


def test_a_dry_run_makes_nothing(folder: Path) -> None:
    done = succeed("dump", "./plain", "vault", "--dedup", "--dry-run", cwd=folder)
    assert "1 to do" in done.err
    assert [path.name for path in folder.iterdir()] == ["plain"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["dump", "./plain", "plain", "--dedup"], "named twice"),
        (["dump", "./other", "plain", "--dedup"], "is a plain archive and stays one"),
        (["dump", "./plain", "s3://bucket/vault", "--dedup"], "--index"),
        (["dump", "./plain", "s3://bucket/../vault", "--dedup"], "use s3://bucket/prefix"),
    ],
)
def test_what_cannot_be_asked_for(folder: Path, words: list[str], complaint: str) -> None:
    make_archive(folder / "other", {"other": b"data"})
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a"}
    done = meltemi(*words, code=2, cwd=folder, env={**env, "AWS_SECRET_ACCESS_KEY": "b"})
    assert complaint in done.err


def test_a_route_goes_into_one_that_is_there(folder: Path) -> None:
    succeed("dump", "./plain", "vault", "--dedup", "--match", "name=none", cwd=folder)
    assert not (folder / "vault").exists()
    succeed("dump", "./plain", "vault", "--dedup", cwd=folder)
    make_archive(folder / "next", {"build 2": NEXT})
    routes = {"r": {"from": "next", "to": ["vault"]}}
    libraries = {name: {"path": name} for name in ("next", "vault")}
    text = json.dumps({"version": 1, "libraries": libraries, "routes": routes})
    (folder / "meltemi.yaml").write_text(text)
    succeed("sync", cwd=folder)
    assert succeed("sync", cwd=folder).idle
    assert succeed("size", "./vault", "-f", "json", cwd=folder).rows[0]["Images"] == 2

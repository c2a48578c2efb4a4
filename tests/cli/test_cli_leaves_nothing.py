"""What is wrong is found before anything is made: no archive begins with a mistake."""

from pathlib import Path

import pytest

from lab.process import free_port
from tests.support.archives import make_archive
from tests.support.cli import meltemi, succeed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that holds nothing but an archive with one image."""
    make_archive(tmp_path / "full", {"one": b"data"})
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["livecopy", "./full", "./new", "--where", "x >"], 2),
        (["livecopy", "./full", "./new", "--match", "colour=red"], 2),
        (["livecopy", "./typo", "./new"], 2),
        (["dump", "nocloud", "new"], 2),
        (["dump", "localhost:{port}", "new"], 6),
        (["load", "./new", "./typo"], 2),
        (["load", "./new", ""], 2),
        (["dump", "./full", ""], 2),
        (["dump", "./full", "new", "--dry-run"], 0),
        (["compare", "./full", "./new"], 1),
        (["dump", "./full", "new", "--match", "name=other"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_nothing_is_made(folder: Path, words: list[str], code: int) -> None:
    port = free_port()
    words = [word.format(port=port) for word in words]
    env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    meltemi(*words, code=code, cwd=folder, env=env)
    assert [path.name for path in folder.iterdir()] == ["full"]


def test_a_mistyped_condition_is_told_before_any_library_is_asked() -> None:
    done = meltemi("livecopy", f"localhost:{free_port()}", "./new", "--where", "x >", code=2)
    assert "where" in done.complaint


def test_an_empty_path_in_a_file_is_no_archive(folder: Path) -> None:
    file = folder / "meltemi.yaml"
    file.write_text(
        "version: 1\nlibraries:\n  a: {path: full}\n  b: {path: ''}\n"
        "routes:\n  r: {from: a, to: b}\n"
    )
    line = meltemi("sync", file, code=2).complaint
    assert "libraries.b.path: an empty path; write . for the folder you are in" in line
    assert sorted(path.name for path in folder.iterdir()) == ["full", "meltemi.yaml"]


def test_an_archive_that_cannot_be_made_is_told_before_any_work(folder: Path) -> None:
    done = meltemi("dump", "./full", "full/lock/new", code=2, cwd=folder)
    assert "full/lock is no folder; name another place" in done.complaint


def test_the_first_image_makes_the_archive(folder: Path) -> None:
    """Even where several arrive at once, and in folders that were not there."""
    make_archive(folder / "many", {f"image {n}": bytes([n]) * 1000 for n in range(20)})
    succeed("dump", "./many", "new/er/archive", cwd=folder)
    assert succeed("compare", "./many", "./new/er/archive", cwd=folder).out.count("\n") == 2
    assert (folder / "new/er/archive/manifest.jsonl").is_file()

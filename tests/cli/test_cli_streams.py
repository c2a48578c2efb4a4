"""Stdout and stderr that are closed or full, or can show ASCII only."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from meltemi.cli.output import FORMATS
from tests.cli.starting import succeed
from tests.support.archives import make_archive
from tests.support.cli import PATIENCE, PROGRAM, environment, running

CLOSED: Final = 141
UNWRITABLE: Final = 74
PRINTING: Final = [
    *(["size", "here", "-f", form] for form in FORMATS),
    ["--help"],
    ["--version"],
    ["livecopy", "--help"],
    ["completion", "zsh"],
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Give a folder with an archive called here."""
    make_archive(tmp_path / "here", {"one": b"data", "zwölf": b"more"})
    return tmp_path


@pytest.fixture
def closed() -> Iterator[int]:
    """Give the end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def full() -> Iterator[int]:
    """Give a file that has no room."""
    with Path("/dev/full").open("w") as file:
        yield file.fileno()


def named(words: list[str], folder: Path) -> list[str]:
    return [str(folder / word) if word == "here" else word for word in words]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_who_no_longer_reads_is_left_in_peace(
    here: Path, closed: int, words: list[str], encoding: str
) -> None:
    """`meltemi … | head -1` ends as other programs do: no word, and not as a finding of its own."""
    env = {"PYTHONIOENCODING": encoding}
    with running(*named(words, here), stdout=closed, env=env) as run:
        done = run.wait()
    assert (done.code, done.err) == (CLOSED, "")


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_an_output_that_is_full_is_one_line(here: Path, full: int, words: list[str]) -> None:
    with running(*named(words, here), stdout=full) as run:
        done = run.wait()
    assert done.code == UNWRITABLE
    assert done.complaint == "meltemi: cannot write to stdout: No space left on device"


def test_a_copy_is_complete_though_nothing_can_be_said_of_it(here: Path, full: int) -> None:
    with running("livecopy", here / "here", here / "there", stdout=full) as run:
        done = run.wait()
    assert done.code == UNWRITABLE
    assert "cannot write to stdout" in done.lines[-1]
    assert succeed("compare", here / "here", here / "there", "-f", "json").rows == []


def redirected(redirection: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, *map(str, words)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_no_stdout_at_all(here: Path) -> None:
    done = redirected(">&-", "size", here / "here")
    assert done.returncode == UNWRITABLE
    assert done.stderr == "meltemi: cannot write to stdout: Bad file descriptor\n"


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2>&1 >/dev/null | true"])
def test_a_run_goes_on_where_nobody_hears_of_its_progress(here: Path, redirection: str) -> None:
    done = redirected(redirection, "livecopy", here / "here", here / "there", "--debug")
    assert done.returncode == 0
    assert succeed("compare", here / "here", here / "there", "-f", "json").rows == []


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_complaint_that_nobody_hears_keeps_its_code(here: Path, redirection: str) -> None:
    assert redirected(redirection, "size", here / "nowhere").returncode == 2


@pytest.mark.parametrize("form", FORMATS)
def test_ascii_is_enough(here: Path, form: str) -> None:
    """For a person question marks will do; a program is told everything all the same."""
    words = ("livecopy", here / "here", here / "there", "--dry-run", "-c", "Name", "-f", form)
    out = succeed(*words, env={"PYTHONIOENCODING": "ascii"}).out
    if form == "json":
        assert {row["Name"] for row in json.loads(out)} == {"one", "zwölf"}
    elif form == "table":
        assert "zw?lf" in out
    else:
        assert "zwölf" in out

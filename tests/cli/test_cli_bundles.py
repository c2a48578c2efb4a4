"""Bundles, from the command line."""

import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.support.archives import make_archive
from tests.support.cli import meltemi, succeed

BUILD = Random(1).randbytes(3_000_000)
NEXT = BUILD[:900_000] + b"changed" + BUILD[900_000:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a deduplicated archive of one image, `vault`."""
    make_archive(tmp_path / "plain", {"build 1": BUILD})
    succeed("dump", "./plain", "vault", "--dedup", cwd=tmp_path)
    return tmp_path


def test_there_and_further(folder: Path) -> None:
    words = ("bundle", "make", "vault", "disk", "--size", "2M")
    [first] = succeed(*words, "-f", "json", cwd=folder).rows
    assert (first["Bundles"], first["Images"], first["Deleted"]) == (2, 1, 0)
    [done] = succeed("bundle", "apply", first["Set"], "copy", "-f", "json", cwd=folder).rows
    assert (done["Images"], done["Stored"] > len(BUILD)) == (1, True)
    assert succeed("compare", "./vault", "./copy", cwd=folder).idle
    again = succeed("bundle", "apply", first["Set"], "copy", cwd=folder)
    assert "has been applied already" in again.err
    make_archive(folder / "next", {"build 2": NEXT})
    succeed("dump", "./next", "vault", cwd=folder)
    succeed("bundle", "state", "copy", "copy.state", cwd=folder)
    written_here = first["Set"].replace(".set", ".state")
    for since in ("copy.state", written_here):
        [second] = succeed(*words, "--since", since, "-f", "json", cwd=folder).rows
        assert second["Bytes"] < len(BUILD) / 5
    done_again = succeed("bundle", "apply", second["Set"], "copy", cwd=folder)
    assert done_again.err == ""
    succeed("load", "./back", "copy", cwd=folder)
    assert succeed("compare", "./vault", "./back", cwd=folder).idle
    succeed("bundle", "state", "copy", "copy.state", cwd=folder)
    nothing = succeed(*words, "--since", "copy.state", cwd=folder)
    assert "nothing is lacking there" in nothing.err


def test_keys(folder: Path) -> None:
    generate = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "private.pem"]
    subprocess.run(generate, cwd=folder, check=True, capture_output=True)
    public = ["openssl", "pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"]
    subprocess.run(public, cwd=folder, check=True, capture_output=True)
    words = ("bundle", "make", "vault", "disk", "-f", "value", "-c", "Set")
    signed = succeed(*words, "--sign-key", "private.pem", cwd=folder).out.strip()
    unsigned = succeed(*words, cwd=folder).out.strip()
    verify = ("--verify-key", "public.pem")
    done = meltemi("bundle", "apply", unsigned, "copy", *verify, code=8, cwd=folder)
    assert "is not signed" in done.complaint
    assert not (folder / "copy").exists()
    succeed("bundle", "apply", signed, "copy", *verify, cwd=folder)
    assert succeed("compare", "./vault", "./copy", cwd=folder).idle


def test_what_is_missing_is_named(folder: Path) -> None:
    make = ("bundle", "make", "vault", "disk", "--size", "2M", "-f", "value", "-c", "Set")
    path = Path(succeed(*make, cwd=folder).out.strip())
    bundle = folder / path.with_suffix(".00002.bundle")
    bundle.rename(folder / "elsewhere")
    done = meltemi("bundle", "apply", path, "copy", code=8, cwd=folder)
    assert f"of 2 bundles there is no {bundle.name};" in done.complaint
    assert not (folder / "copy").exists()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["make", "vault", "disk", "--size", "1M"], 2, "2M bytes or more"),
        (["make", "vault", "disk", "--since", "nothing"], 2, "there is no such file"),
        (["make", "vault", "disk", "--sign-key", "nothing"], 2, "there is no such file"),
        (["make", "nothing", "disk"], 2, "is no folder"),
        (["make", "plain", "disk"], 2, "is no archive that dump --dedup wrote"),
        (["make", "", "disk"], 2, "an empty path"),
        (["make", "vault", ""], 2, "an empty path"),
        (["make", "vault", "vault/store.json"], 2, "store.json"),
        (["make", "vault", "disk", "--since", "vault/store.json"], 8, "not a state"),
        (["apply", "nothing.set", "copy"], 2, "there is no such file"),
        (["apply", "vault/store.json", "copy"], 8, "not a set of bundles"),
        (["apply", "vault/store.json", "plain"], 8, "not a set of bundles"),
        (["state", "plain", "file"], 2, "is no archive that dump --dedup wrote"),
    ],
)
def test_what_cannot_be_done(folder: Path, words: list[str], code: int, complaint: str) -> None:
    done = meltemi("bundle", *words, code=code, cwd=folder)
    assert complaint in done.complaint
    assert sorted(path.name for path in folder.iterdir()) == ["plain", "vault"]

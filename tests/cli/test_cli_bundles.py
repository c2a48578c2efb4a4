"""Bundles, from the command line."""

import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.chunks.commanding import flip
from tests.support.archives import make_archive
from tests.support.cli import meltemi, succeed

BUILD = Random(1).randbytes(3_000_000)
NEXT = BUILD[:900_000] + b"changed" + BUILD[900_000:]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that is left as it is."""
    path = tmp_path_factory.mktemp("original")
    make_archive(path / "plain", {"build 1": BUILD})
    succeed("dump", "./plain", "vault", "--dedup", cwd=path)
    return path


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """Give a folder with a deduplicated archive of one image, `vault`, and a plain one of it."""
    return shutil.copytree(original, tmp_path, dirs_exist_ok=True)


def test_there_and_further(folder: Path) -> None:
    words = ("bundle", "make", "vault", "disk", "--size", "2M")
    [first] = succeed(*words, "-f", "json", cwd=folder, anew=True).rows
    assert (first["Bundles"], first["Images"], first["Deleted"]) == (2, 1, 0)
    apply = ("bundle", "apply", first["Set"], "copy")
    [done] = succeed(*apply, "-f", "json", cwd=folder, anew=True).rows
    assert (done["Images"], done["Stored"] > len(BUILD)) == (1, True)
    assert succeed("compare", "./vault", "./copy", cwd=folder).idle
    again = succeed(*apply, cwd=folder)
    assert "has been applied already" in again.err
    make_archive(folder / "next", {"build 2": NEXT})
    succeed("dump", "./next", "vault", cwd=folder)
    succeed("bundle", "state", "copy", "copy.state", cwd=folder)
    written_here = first["Set"].replace(".set", ".state")
    for since in ("copy.state", written_here):
        [second] = succeed(*words, "--since", since, "-f", "json", cwd=folder).rows
        assert second["Bytes"] < len(BUILD) / 5
    done_again = succeed("bundle", "apply", second["Set"], "copy", cwd=folder)
    assert done_again.err.startswith("apply 2")
    succeed("load", "./back", "copy", cwd=folder)
    assert succeed("compare", "./vault", "./back", cwd=folder).idle
    succeed("bundle", "state", "copy", "copy.state", cwd=folder)
    nothing = succeed(*words, "--since", "copy.state", "-f", "json", cwd=folder)
    assert "nothing is lacking there" in nothing.err
    assert nothing.rows == []


def make_keys(folder: Path, name: str) -> None:
    generate = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{name}.pem"]
    subprocess.run(generate, cwd=folder, check=True, capture_output=True)
    public = ["openssl", "pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}-public.pem"]
    subprocess.run(public, cwd=folder, check=True, capture_output=True)


def test_keys(folder: Path) -> None:
    make_keys(folder, "mine")
    make_keys(folder, "other")
    signed = made(folder, "--sign-key", "mine.pem")
    verify = ("--verify-key", "mine-public.pem")
    for wrong, complaint in {
        made(folder): "is not signed",
        made(folder, "--sign-key", "other.pem"): "its signature is not by that key",
    }.items():
        done = meltemi("bundle", "apply", wrong, "copy", *verify, code=8, cwd=folder)
        assert complaint in done.complaint
        assert not (folder / "copy").exists()
    succeed("bundle", "apply", signed, "copy", *verify, cwd=folder)
    assert succeed("compare", "./vault", "./copy", cwd=folder).idle


def made(folder: Path, *options: object) -> Path:
    """Make a set of what the archive has; give the file that binds it together."""
    words = ("bundle", "make", "vault", "disk", "--size", "2M", "-f", "value", "-c", "Set")
    return Path(succeed(*words, *options, cwd=folder).out.strip())


def test_a_set_that_is_not_whole(folder: Path) -> None:
    path = made(folder)
    bundle = folder / path.with_suffix(".00002.bundle")
    flip(bundle, 500_000)
    done = meltemi("bundle", "apply", path, "copy", code=8, cwd=folder)
    assert f"{bundle.name}: it was altered; nothing was applied" in done.complaint
    bundle.rename(folder / "elsewhere")
    done = meltemi("bundle", "apply", path, "copy", code=8, cwd=folder)
    assert f"of 2 bundles there is no {bundle.name};" in done.complaint
    assert not (folder / "copy").exists()


def test_sets_out_of_order(folder: Path) -> None:
    first = made(folder)
    succeed("bundle", "apply", first, "copy", cwd=folder)
    succeed("bundle", "state", "copy", "copy.state", cwd=folder)
    make_archive(folder / "next", {"build 2": NEXT})
    succeed("dump", "./next", "vault", cwd=folder)
    second = made(folder, "--since", first.with_suffix(".state"))
    for far in ("new", "vault"):
        done = meltemi("bundle", "apply", second, far, code=8, cwd=folder)
        assert f"comes after set {first.stem}, which was not applied here" in done.complaint
    based = made(folder, "--since", "copy.state")
    done = meltemi("bundle", "apply", based, "new", code=8, cwd=folder)
    assert "builds on the data of image build 1 (" in done.complaint
    assert not (folder / "new").exists()
    succeed("bundle", "apply", second, "copy", cwd=folder)
    assert succeed("compare", "./vault", "./copy", cwd=folder).idle


def test_a_set_is_no_archive(folder: Path) -> None:
    path = made(folder)
    for place in (path, path.parent):
        done = meltemi("load", "./back", place, cwd=folder)
        assert done.code in (2, 8)
        assert "meltemi bundle apply brings a set of bundles into one" in done.complaint
    assert not (folder / "back").exists()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["make", "vault", "disk", "--size", "1M"], 2, "2M bytes or more"),
        (["make", "vault", "disk", "--since", "nothing"], 2, "there is no such file"),
        (["make", "vault", "disk", "--sign-key", "nothing"], 2, "there is no such file"),
        (["make", "nothing", "disk"], 2, "is no folder"),
        (["make", "plain", "disk"], 2, "is no archive that dump --dedup wrote"),
        (["make", "vault", "disk", "--size", "2X"], 2, "'2X' is not a size"),
        (["make", "vault", "disk", "--sine", "x"], 2, "Did you mean one of"),
        (["make", "vault", "disk", "--since", "no/thing"], 2, "there is no such file"),
        (["make", "vault", "disk", "--sign-key", "vault/store.json"], 2, "not a private key"),
        (["make", "", "disk"], 2, "an empty path"),
        (["mkae", "vault", "disk"], 2, "did you mean make?"),
        (["make", "vault", ""], 2, "an empty path"),
        (["make", "vault", "vault/store.json"], 2, "store.json"),
        (["make", "vault", "disk", "--since", "vault/store.json"], 8, "not a state"),
        (["apply", "nothing.set", "copy"], 2, "there is no such file"),
        (["apply", "no/thing.set", "copy"], 2, "there is no such file"),
        (["apply", "vault", "copy"], 2, "is a directory"),
        (["apply", "vault/store.json", "copy"], 2, "name the file of the set that ends in .set"),
        (["apply", "x.set", "copy", "--verify-key", "vault/store.json"], 2, "not a public key"),
        (["state", "plain", "file"], 2, "is no archive that dump --dedup wrote"),
        (["state", "vault", "no/thing"], 2, "there is no such folder"),
        (["state", "vault", "plain"], 2, "is a directory"),
    ],
)
def test_what_cannot_be_done(folder: Path, words: list[str], code: int, complaint: str) -> None:
    done = meltemi("bundle", *words, code=code, cwd=folder)
    assert complaint in done.complaint
    assert sorted(path.name for path in folder.iterdir()) == ["plain", "vault"]

"""`meltemi store …` with what is wrong: one line, which says what it is."""

import shlex
import sys
from contextlib import closing
from pathlib import Path

import pytest

from meltemi.chunks.opening import open_store
from meltemi.cli import main as cli

OTHER = "postgresql://meltemi:secret@127.0.0.1:1/index"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a store that has one image, a file, and a folder."""
    with closing(open_store(str(tmp_path / "store"), create=True)) as store, store.writing() as to:
        to.write(b"data")
        to.finish("one")
    (tmp_path / "file").write_bytes(b"more")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thing").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("lsit store", 2, "did you mean list?"),
        ("list", 2, "Missing argument 'STORE'"),
        ("delete store", 2, "Missing argument 'NAME...'"),
        ("list nothing", 2, "nothing: there is no such folder"),
        ("list folder", 2, "there is no chunk store: make one (meltemi store init)"),
        ("list file", 2, "file: there is no such folder"),
        ("list ''", 2, "an empty address"),
        ("list store -c Nothing", 2, "no column 'Nothing': there are Name, "),
        ("list s3://bucket/prefix", 2, "needs --index"),
        ("init s3://bucket/prefix", 2, "needs --index"),
        ("init store", 3, "there is a chunk store already"),
        ("init file", 2, "it is no folder"),
        ("init folder", 2, "it is not empty"),
        ("init file/below", 2, "cannot be made or read: Not a directory"),
        ("put store two nothing", 2, "nothing: there is no such file"),
        ("put store two folder", 2, "folder: it cannot be read: Is a directory"),
        ("put store two /proc/self/mem", 3, "image two: /proc/self/mem: reading it failed"),
        ("put store one file", 3, "there is an image one already"),
        ("put store '' file", 2, "an image's name has 1 to 255 characters"),
        ("put store two file --hash sha1", 2, "'sha1' is not one of 'md5', 'sha256', 'sha512'"),
        ("put store two file --hash none --hash md5", 2, "--hash none stands alone"),
        ("put store two file --cut cdc", 2, "'cdc' is not one of 'cdc-64k', 'fixed-64k'"),
        ("put store two file -c SHA256", 2, "no column 'SHA256'"),
        ("get store two", 3, "there is no image two"),
        ("get store one -o folder", 2, "image one: "),
        ("get store one -o nothing/file", 2, "nothing: there is no such folder"),
        ("get store one -o file/below", 2, "file/below: it cannot be written: Not a directory"),
        ("range store one 5 1", 2, "image one: it has 4 bytes; an offset of 5 is beyond its end"),
        ("range store one -5 1", 2, "No such option '-5'"),
        ("range store one x 1", 2, "'x' is not a size"),
        ("range store one 0 1x", 2, "'1x' is not a size"),
        ("range store two 0 1", 3, "there is no image two"),
        ("delete store two", 3, "there is no image two"),
        ("scrub store --bwlimit 0", 2, "moves nothing"),
        ("scrub store --bwlimit '08:00,1M 12:00,off'", 2, "is a timetable; give one rate"),
        ("list store --index nonsense", 2, "not the address of an index: give sqlite:////"),
        ("list store --index mysql://host/index", 2, "an index cannot be in mysql"),
        ("list store --index sqlite://", 2, "an index in memory would be lost"),
        ("list store --index postgresql+x://u:secret@host/db", 2, "not the address of an index"),
        ("list store --index postgresql://u:secret@host:x/db", 2, "not the address of an index"),
        (f"list store --index {OTHER}", 9, "Connection refused"),
        ("list store --index sqlite:///nothing/index", 9, "unable to open database file"),
        ("list store --index sqlite:///file", 9, "file is not a database"),
        ("list store --index sqlite:///new", 9, "rebuild it (meltemi store reindex store)"),
        ("list nix://bucket --index sqlite:///new", 2, "nix://bucket: "),
        ("list s3://bucket --index sqlite:///new", 5, "s3://bucket: looking for store.json: "),
    ],
)
def test_misuse(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, told: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["store", *shlex.split(words)])
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("meltemi: ")]
    assert len(lines) == 1, captured.err
    assert told in lines[0]
    assert caught.value.code == code
    assert "secret" not in captured.err
    assert "Traceback" not in captured.err
    with closing(open_store(str(folder / "store"))) as store:
        assert [head.name for head in store.heads.all()] == ["one"]


def test_the_index_of_another_store_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(str(folder / "other"), create=True).close()
    for verb in ("list", "reindex"):
        with pytest.raises(SystemExit) as caught:
            cli.main(["store", verb, "store", "--index", "sqlite:///other/index.sqlite"])
        assert caught.value.code == 2
        assert "this index is of another store" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["get store one", "range store one 0 1", "put store two"])
def test_data_is_no_matter_for_a_terminal(
    folder: Path,  # noqa: ARG001 - it is gone into
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(SystemExit) as caught:
        cli.main(["store", *words.split()])
    assert caught.value.code == 2
    assert "is a terminal" in capsys.readouterr().err

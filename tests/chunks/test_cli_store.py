"""`meltemi store …` on a store in a folder: every command, its output and its end."""

import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from meltemi.chunks.opening import open_store
from meltemi.chunks.reader import Reader
from meltemi.chunks.session import Session
from meltemi.chunks.writer import Writer
from meltemi.cli import store as group
from meltemi.cli.main import main
from meltemi.cli.store.data import to_file
from meltemi.errors import QuotaError
from tests.chunks.commanding import Keeper
from tests.chunks.making import KIB, MIB, holey, noise
from tests.support.cli import PROGRAM, User, environment, meltemi

NAMES = list(group._COMMANDS)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    """Give a new store in a folder."""
    made = Keeper(tmp_path)
    made.run("init")
    return made


def options() -> Iterator[tuple[str, click.Option]]:
    for name in NAMES:
        module = importlib.import_module(f"meltemi.cli.store.{group._COMMANDS[name][0]}")
        assert module.command.name == name
        for parameter in module.command.params:
            if isinstance(parameter, click.Option):
                yield name, parameter


@pytest.mark.parametrize(("name", "option"), [*options()], ids=lambda v: getattr(v, "name", v))
def test_every_option_has_help_and_is_a_variable_too(name: str, option: click.Option) -> None:
    assert option.name
    assert option.help
    assert option.envvar == f"MELTEMI_{option.name.upper()}", name


def test_the_help_names_every_command() -> None:
    out = meltemi("store", "--help", code=0).out
    assert all(f"  {name} " in out for name in NAMES)
    assert "store" in meltemi("--help", code=0).out
    assert "--cut" in meltemi("store", "put", "--help", code=0).out


def test_the_help_starts_without_what_is_slow_to_import() -> None:
    code = (
        "import sys, meltemi.cli.main, meltemi.cli.store, meltemi.cli.livecopy; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {"sqlalchemy", "obstore", "psycopg", "pyfastcdc"}
    assert not slow & set(loaded)


def test_what_is_put_can_be_got(keeper: Keeper) -> None:
    data = holey(1)
    row = keeper.put("one", data)
    assert (row["Name"], row["Bytes"], row["Cut"]) == ("one", len(data), "cdc-64k")
    assert row["MD5"] == hashlib.md5(data).hexdigest()
    assert row["SHA512"] == hashlib.sha512(data).hexdigest()
    assert "SHA256" not in row
    assert 0 < row["Stored"] < len(data)
    assert keeper.get("one") == data
    done = keeper.piped("get", "one")
    assert (done.returncode, done.stdout) == (0, data)


def test_one_process_after_another(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.really("init")
    (tmp_path / "data").write_bytes(noise(17, MIB))
    keeper.really("put", "one", "data")
    keeper.really("get", "one", "-o", "got")
    assert (tmp_path / "got").read_bytes() == noise(17, MIB)
    for verb in ("list", "check", "scrub", "gc", "stats"):
        keeper.really(verb)
    keeper.really("get", "two", code=3)


def test_data_comes_from_stdin(keeper: Keeper) -> None:
    data = noise(2, 3 * MIB)
    assert keeper.piped("put", "one", data=data).returncode == 0
    assert keeper.piped("put", "two", "-", data=data).returncode == 0
    assert keeper.get("one") == data
    assert [row["Name"] for row in keeper.rows("list")] == ["one", "two"]
    assert keeper.row("stats")["Distinct"] < 1.1 * len(data)


def test_stdin_without_data_is_an_image_only_where_it_is_asked_for(keeper: Keeper) -> None:
    done = keeper.piped("put", "one")
    assert done.returncode == 2
    assert b"nothing came from stdin" in done.stderr
    assert keeper.rows("list") == []
    assert keeper.piped("put", "one", "-").returncode == 0
    assert keeper.get("one") == b""


def test_what_is_known_is_not_stored_again(keeper: Keeper) -> None:
    data = noise(3, MIB)
    assert keeper.put("one", data)["Stored"] > MIB
    assert keeper.put("two", data)["Stored"] == 0
    assert keeper.row("stats")["Data"] == 2 * MIB


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (["--hash", "sha256"], {"SHA256"}),
        (["--hash", "none"], set()),
        (["--hash", "sha512", "--hash", "md5", "--hash", "md5"], {"MD5", "SHA512"}),
    ],
)
def test_hashes_can_be_chosen(keeper: Keeper, words: list[str], columns: set[str]) -> None:
    row = keeper.put("one", b"data", *words)
    assert {"MD5", "SHA256", "SHA512"} & set(row) == columns
    [listed] = keeper.rows("list")
    assert all(row[name] == listed[name] for name in columns)
    assert all(not listed[name] for name in {"MD5", "SHA256", "SHA512"} - columns)


def test_options_come_from_the_environment(keeper: Keeper) -> None:
    keeper.env = {"MELTEMI_HASH": "sha256", "MELTEMI_CUT": "fixed-64k"}
    row = keeper.put("one", noise(4, 100 * KIB))
    assert row["Cut"] == "fixed-64k"
    assert row["SHA256"]


def test_a_range(keeper: Keeper) -> None:
    data = holey(5)
    keeper.put("one", data)
    for offset, length, expected in (
        ("0", "10", data[:10]),
        ("300KiB", "0.5MiB", data[300 * KIB :][: 512 * KIB]),
        (len(data) - 5, "1k", data[-5:]),
        (len(data), "1", b""),
        ("7", "0", b""),
    ):
        done = keeper.piped("range", "one", offset, length)
        assert (done.returncode, done.stdout) == (0, expected), (offset, length)
    error = keeper.run("range", "one", len(data) + 1, 1, code=2).complaint
    assert "image one: it has" in error


def test_what_is_got_takes_no_room_where_it_is_zeros(keeper: Keeper) -> None:
    data = bytes(32 * MIB) + b"end" + bytes(MIB)
    keeper.put("one", data)
    assert keeper.get("one") == data
    assert (keeper.folder / "got").stat().st_blocks * 512 < 2 * MIB


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([-3 * MIB], id="a hole alone"),
        pytest.param([-5 * MIB, 4 * KIB, -100 * KIB, MIB + 1], id="first"),
        pytest.param([1, -2 * MIB, 5, -MIB - 7], id="last"),
        pytest.param([MIB, -64 * KIB, MIB, -MIB, 3 * MIB, -4 * KIB, 9], id="between"),
    ],
)
def test_a_file_with_holes(keeper: Keeper, parts: list[int]) -> None:
    """Positive parts are data of that length, negative ones holes."""
    path = keeper.folder / "sparse"
    with path.open("wb") as file:
        for number, length in enumerate(parts):
            if length > 0:
                file.write(noise(number, length))
            else:
                file.truncate(file.seek(-length, os.SEEK_CUR))
    data = path.read_bytes()
    row = keeper.row("put", "named", path)
    assert (row["Bytes"], row["SHA512"]) == (len(data), hashlib.sha512(data).hexdigest())
    assert keeper.get("named") == data
    with path.open("rb") as stdin:
        stdin.seek(1)  # as after `read` in a shell
        command = [*PROGRAM, "store", "put", keeper.address, "from 1"]
        subprocess.run(command, stdin=stdin, cwd=keeper.folder, env=environment(), check=True)
    assert keeper.get("from 1") == data[1:]


def test_a_file_is_replaced_and_a_link_kept(keeper: Keeper) -> None:
    keeper.put("one", b"new")
    (keeper.folder / "real").write_bytes(b"old and longer")
    (keeper.folder / "link").symlink_to("real")
    keeper.run("get", "one", "-o", "link")
    assert (keeper.folder / "link").is_symlink()
    assert (keeper.folder / "real").read_bytes() == b"new"
    keeper.run("get", "one", "-o", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_data_goes_to_whatever_reads_a_pipe(keeper: Keeper) -> None:
    data = holey(6)
    keeper.put("one", data)
    os.mkfifo(keeper.folder / "pipe")
    with keeper.started("get", "one", "-o", "pipe") as process:
        assert (keeper.folder / "pipe").read_bytes() == data
        process.communicate()
    assert process.returncode == 0


def test_lists(keeper: Keeper) -> None:
    keeper.put("b", b"data")
    keeper.put("a", b"")
    rows = keeper.rows("list")
    assert [(row["Name"], row["Bytes"], row["Size"]) for row in rows] == [
        ("a", 0, "0 B"),
        ("b", 4, "4 B"),
    ]
    assert keeper.run("list", "-f", "value", "-c", "md5", "-c", "Name").out.splitlines()[1] == (
        "8d777f385d3dfec8815d20f7496026dc b"
    )
    table = keeper.run("list").out
    assert "Manifest" in table
    assert "SHA512" not in table
    assert "8d777f385d" in keeper.run("list", "-c", "MD5").out


def test_single_things_are_a_line_for_each_column(keeper: Keeper) -> None:
    lines = keeper.run("stats").out.splitlines()
    assert lines[0].split() == ["Field", "┃", "Value"]
    assert lines[2].split() == ["Images", "│", "0"]
    assert len(keeper.run("stats", "-c", "packs", "-c", "Blobs").out.splitlines()) == 4
    assert keeper.run("stats", "-c", "packs", "-f", "value").out == "0\n"


def test_what_is_deleted_is_gone_and_then_its_room(keeper: Keeper) -> None:
    keeper.put("one", noise(7, MIB))
    keeper.put("two", b"data")
    [gone, unknown] = keeper.rows("delete", "one", "three", "one", code=3)
    assert (gone["Result"], gone["Name"], gone["Bytes"]) == ("deleted", "one", MIB)
    assert (unknown["Result"], unknown["Name"]) == ("failed", "three")
    assert [row["Name"] for row in keeper.rows("list")] == ["two"]
    dry = keeper.row("gc", "--dry-run")
    assert dry["Dead"] == 1
    assert dry["Freed"] > MIB
    assert keeper.row("stats")["Stored"] > MIB
    assert keeper.row("gc")["Freed"] > MIB
    assert keeper.row("stats")["Stored"] < MIB
    assert keeper.get("two") == b"data"


def test_a_name_is_used_once(keeper: Keeper) -> None:
    keeper.put("one", b"data")
    assert "there is an image one already" in keeper.run("put", "one", "data", code=3).complaint
    keeper.run("delete", "one")
    keeper.put("one", b"other")
    assert keeper.get("one") == b"other"


def test_a_sound_store_is_found_sound(keeper: Keeper) -> None:
    keeper.put("one", holey(8))
    done = keeper.run("check", "-f", "json")
    assert done.rows == []
    assert "checked: 1 images, 1 packs" in done.err
    assert keeper.rows("scrub", "--bwlimit", "100M") == []
    assert keeper.row("reindex") == {
        "Images": 1,
        "Packs": 1,
        "Blobs": keeper.row("stats")["Blobs"],
        "Dropped": 0,
        "Damaged": 0,
    }


def test_an_index_elsewhere(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, env={"MELTEMI_INDEX": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"})
    keeper.run("init")
    keeper.put("one", b"data")
    assert not (tmp_path / "store" / "index.sqlite").exists()
    assert (tmp_path / "elsewhere.sqlite").exists()
    assert keeper.get("one") == b"data"


def test_a_second_collector_is_told_who_is_at_work(keeper: Keeper) -> None:
    with closing(open_store(str(keeper.folder / "store"))) as store:
        with Session(store.sessions) as session:
            store.sessions.lease(session.number)
            for verb in ("gc", "reindex"):
                assert f"/{os.getpid()} is at work" in keeper.run(verb, code=3).complaint
        keeper.run("gc")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_put_that_is_interrupted_leaves_nothing(keeper: Keeper, number: int) -> None:
    os.mkfifo(keeper.folder / "pipe")
    with (
        keeper.started("put", "one", "pipe", stdout=subprocess.PIPE) as process,
        (keeper.folder / "pipe").open("wb") as pipe,
    ):
        pipe.write(noise(9, 40 * MIB))  # more than fits in a pipe, and a pack of it is stored
        pipe.flush()
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    [line] = err.decode().splitlines()
    assert line.startswith("meltemi: interrupted: image one was not stored; put it again")
    assert keeper.rows("list") == []
    assert keeper.row("stats")["Sessions"] == 0
    assert keeper.rows("check") == []
    keeper.run("gc")
    assert keeper.packs() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_get_that_is_interrupted(keeper: Keeper, number: int) -> None:
    keeper.put("one", noise(10, 4 * MIB))
    with keeper.started("get", "one", stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(MIB)
        process.send_signal(number)
        process.wait()
        assert process.stderr
        assert process.stderr.read().splitlines() == [
            b"meltemi: interrupted: image one was not given to its end"
        ]
    assert process.returncode == 130


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_file_is_there_only_when_it_is_complete(
    keeper: Keeper,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    def failing(*_: object) -> Iterator[bytes]:
        yield b"data"
        assert len([*keeper.folder.glob(".meltemi-*.part")]) == 1
        raise error

    keeper.put("one", b"data")
    (keeper.folder / "file").write_bytes(b"old")
    monkeypatch.setattr(Reader, "read", failing)
    words = ["store", "get", str(keeper.folder / "store"), "one"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "-o", str(keeper.folder / "file")])
    assert caught.value.code == (130 if error is KeyboardInterrupt else 70)
    assert (keeper.folder / "file").read_bytes() == b"old"
    assert [*keeper.folder.glob(".meltemi-*")] == []


def test_who_no_longer_reads_ends_a_get(keeper: Keeper) -> None:
    keeper.put("one", noise(11, 4 * MIB))
    with keeper.started("get", "one", stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 141


def test_a_disk_that_is_full_is_told_and_nothing_kept(keeper: Keeper) -> None:
    keeper.put("one", noise(12, 4 * MIB))
    done = keeper.piped("get", "one", "-o", "file", limit=MIB)
    assert done.returncode == 3
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("meltemi: image one: ")
    assert line.endswith("/file: writing it failed: File too large; nothing of it was kept")
    assert {path.name for path in keeper.folder.iterdir()} == {"data", "store"}


def test_a_store_that_is_full_is_told_of_the_image(keeper: Keeper) -> None:
    done = keeper.piped("put", "one", "-", data=noise(13, 4 * MIB), limit=MIB)
    assert done.returncode == 3
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("meltemi: image one: ")
    assert "File too large" in line
    assert keeper.rows("list") == []


def test_a_device_that_is_full() -> None:
    with closing(to_file(Path("/dev/full"))) as target, pytest.raises(QuotaError):
        target.fill([b"data"])
    assert Path("/dev/full").is_char_device()


def test_a_file_that_is_written_to_meanwhile_is_not_stored(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = keeper.folder / "file"
    file.write_bytes(noise(14, 4 * MIB))
    os.utime(file, (0, 0))
    take = Writer.write

    def meanwhile(writer: Writer, data: bytes) -> None:
        with file.open("r+b") as writing:
            writing.write(b"x")
        take(writer, data)

    monkeypatch.setattr(Writer, "write", meanwhile)
    line = keeper.run("put", "one", "file", code=3).complaint
    assert line.startswith("meltemi: image one: file: it was written to while it was read")
    assert keeper.rows("list") == []


def test_progress_is_a_bar_on_a_terminal(keeper: Keeper) -> None:
    user = User(keeper.folder, dict)
    (keeper.folder / "data").write_bytes(noise(15, 2 * MIB))
    store = str(keeper.folder / "store")
    for words in (
        ["put", store, "one", str(keeper.folder / "data")],
        ["get", store, "one", "-o", str(keeper.folder / "got")],
        ["scrub", store],
    ):
        seen = user.watch("store", *words)
        assert "MiB in " in seen
        assert "━" in seen, seen


def test_progress_is_a_line_elsewhere(keeper: Keeper) -> None:
    keeper.put("one", noise(16, MIB))
    done = keeper.run("get", "one", "-o", "got")
    [line] = done.lines
    assert line.startswith("get one: 1.0 MiB in ")
    assert json.loads(keeper.run("list", "-f", "json", "-v").out)

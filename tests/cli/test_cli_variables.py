"""What each variable does: the same as its option, told by what a command makes of it."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import click
import pytest

from meltemi import listening
from meltemi.cli import main as cli
from meltemi.cli.work import Connections
from meltemi.model.route import OnConflict, OnSourceDeletion, Route, Rules
from meltemi.region import logs, server, wiring
from meltemi.region.settings import Settings
from tests.cli.starting import meltemi, succeed
from tests.support.archives import make_archive

SOURCE, TARGET = "host:1", "host:2"


class Caught:
    """What a command was about to carry out."""

    route: Route
    connections: Connections

    def replicate(
        self, routes: Sequence[Route], connections: Connections, options: Mapping[str, Any]
    ) -> int:
        """Stand in for doing it."""
        del options
        [self.route], self.connections = routes, connections
        return 0

    def look(self, where: str) -> object:
        """Give a part of the route, of the connections, or of the source's address."""
        if where.startswith("address."):
            return getattr(self.connections.addresses[SOURCE], where.removeprefix("address."))
        whole = self.route if "." in where or where == "relay" else self.connections
        return attrgetter(where)(whole)


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    made = Caught()
    monkeypatch.setattr("meltemi.cli.livecopy.replicate", made.replicate)
    return made


BY_TAG = Rules(tags=("a",)), Rules(tags=("b",))
HIDE = OnSourceDeletion.HIDE
TIMETABLE = (480, 1024), (1080, None)

MADE: list[tuple[str, str, str, object]] = [
    ("MATCH", "tag=a 'name=b c'", "selection.match", (Rules(names=("b c",), tags=("a",)),)),
    ("EXCLUDE", "tag=a tag=b", "selection.exclude", BY_TAG),
    ("WHERE", "image.size > 1", "selection.where", "image.size > 1"),
    ("METAONLY", "1", "policy.metadata_only", True),
    ("DONTREPLICATE", "a,b c", "policy.drop", frozenset("abc")),
    ("MEMBERS", "true", "policy.members", True),
    ("MAP_OWNER", "a=b *=c", "policy.owners", {"a": "b", "*": "c"}),
    ("MAP_VALUE", "'k:a b=c'", "policy.values", {"k": {"a b": "c"}}),
    ("VISIBILITY", "community", "policy.visibility", "community"),
    ("REPLICAS", "yes", "policy.replicas", True),
    ("PULL", "1", "policy.pull", True),
    ("ON_CONFLICT", "rename", "policy.on_conflict", OnConflict.RENAME),
    ("ON_SOURCE_DELETION", "hide", "policy.on_source_deletion", HIDE),
    ("GRACE", "7d", "policy.grace", timedelta(days=7)),
    ("MAX_DELETE", "3", "policy.max_delete", 3),
    ("RELAY", TARGET, "relay", TARGET),
    ("TRANSFERS", "3", "limits.transfers", 3),
    ("BWLIMIT", "08:00,1k 18:00,off", "limits.bandwidth", TIMETABLE),
    ("CHUNKSIZE", "128k", "limits.block", 128 * 1024),
    ("TIMEOUT", "90s", "silence", 90.0),
    ("CACERT", "/ca", "address.cacert", Path("/ca")),
    ("INSECURE", "1", "address.insecure", True),
    ("TOKEN", "t", "tokens", {SOURCE: "t", TARGET: "t"}),
    ("SOURCETOKEN", "t", "tokens", {SOURCE: "t", TARGET: None}),
    ("TARGETTOKEN", "t\n", "tokens", {SOURCE: None, TARGET: "t"}),
]


def run(*words: str, **variables: str) -> None:
    """Run a command in this process, with variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            cli.main([*words])
    assert ended.value.code == 0


@pytest.mark.parametrize(("name", "value", "where", "expected"), MADE, ids=[m[0] for m in MADE])
def test_a_variable_changes_what_is_carried_out(
    caught: Caught, name: str, value: str, where: str, expected: object
) -> None:
    run("livecopy", SOURCE, TARGET)
    assert caught.look(where) != expected
    run("livecopy", SOURCE, TARGET, **{f"MELTEMI_{name}": value})
    assert caught.look(where) == expected


def test_the_command_line_takes_the_place_of_the_variable(caught: Caught) -> None:
    words = ("livecopy", SOURCE, TARGET, "--transfers", "5", "--match", "tag=b")
    run(*words, MELTEMI_TRANSFERS="3", MELTEMI_MATCH="tag=a")
    assert caught.route.limits.transfers == 5
    assert [rule.tags for rule in caught.route.selection.match] == [("b",)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with an archive and a file with two routes from it."""
    make_archive(tmp_path / "here", {"one": b"data"})
    libraries = {name: {"path": name} for name in ("here", "there", "elsewhere")}
    routes = {name: {"from": "here", "to": name} for name in ("there", "elsewhere")}
    configuration = {"version": 1, "libraries": libraries, "routes": routes}
    (tmp_path / "my.yaml").write_text(json.dumps(configuration))
    return tmp_path


def test_how_is_printed(folder: Path) -> None:
    env = {"MELTEMI_FORMAT": "csv", "MELTEMI_COLUMN": "bytes Images"}
    assert succeed("size", folder / "here", env=env).out == "Bytes,Images\n4,1\n"


def test_nothing_is_done(folder: Path) -> None:
    succeed("livecopy", folder / "here", folder / "there", env={"MELTEMI_DRY_RUN": "1"})
    assert not (folder / "there").exists()


@pytest.mark.parametrize(
    ("name", "level"), [("VERBOSE", logging.INFO), ("DEBUG", logging.DEBUG), ("DEBUG", None)]
)
def test_how_much_is_told(folder: Path, name: str, level: int | None) -> None:
    env = {f"MELTEMI_{name}": "0" if level is None else "1"}
    lines = succeed("livecopy", folder / "here", folder / "there", env=env).lines
    told = {word for line in lines for word in ("INFO", "DEBUG") if f" {word} " in line}
    expected = {logging.INFO: {"INFO"}, logging.DEBUG: {"INFO", "DEBUG"}, None: set[str]()}
    assert told == expected[level]


def test_plans(folder: Path) -> None:
    env = {"MELTEMI_FILE": str(folder / "my.yaml"), "MELTEMI_ROUTE": "there"}
    out = succeed("plan", "-f", "json", env={**env, "MELTEMI_OUT": str(folder / "a.plan")})
    assert [row["To"] for row in out.rows] == ["there"]
    assert (folder / "a.plan").is_file()
    succeed("sync", env=env)
    assert (folder / "there").is_dir()
    assert not (folder / "elsewhere").exists()


def test_a_check(folder: Path) -> None:
    env = {"MELTEMI_FILE": str(folder / "my.yaml")}
    meltemi("plan", env=env, code=0)
    meltemi("plan", env={**env, "MELTEMI_CHECK": "1"}, code=1)


SERVED = [("HOST", "::1"), ("PORT", 0), ("WORKERS", 3), ("DATA", Path("/srv/region"))]


@pytest.mark.parametrize(("name", "expected"), SERVED, ids=[name for name, _ in SERVED])
def test_how_a_region_is_served(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: object
) -> None:
    assert getattr(_served(monkeypatch), name.lower()) != expected
    settings = _served(monkeypatch, **{f"MELTEMI_{name}": str(expected)})
    assert getattr(settings, name.lower()) == expected


def test_where_a_region_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "region.yaml").write_text("{version: 1, page: 7}")
    settings = _served(monkeypatch, MELTEMI_CONFIG=str(tmp_path / "region.yaml"))
    assert settings.page == 7


def _served(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Give the settings with which `meltemi serve` would serve, had it not been stopped there."""
    served: list[Settings] = []
    listener = Mock(getsockname=lambda: ("somewhere", 1))
    monkeypatch.setattr(wiring, "prepare", served.append)
    monkeypatch.setattr(listening, "listen", lambda *_: listener)
    monkeypatch.setattr(server, "serve", lambda *_: None)
    monkeypatch.setattr(logs, "log_to_stderr", lambda **_: True)
    run("serve", **variables)
    return served[0]


def test_no_option_is_missing_here() -> None:
    tested = (
        {name for name, *_ in (*MADE, *SERVED)}
        | {"CONFIG"}
        | {*("FORMAT", "COLUMN", "DRY_RUN", "VERBOSE", "DEBUG", "FILE", "ROUTE", "OUT", "CHECK")}
        | {*("DAEMON", "DAEMON_TOKEN_FILE", "LISTEN", "REGION", "LATE", "WATCH", "LAST")}
        | {*("WAIT_IN", "WAIT_TIMEOUT", "DEDUP", "INDEX")}
        | {*("USAGE_FROM", "USAGE_TO", "USAGE_PROJECT")}
    )
    there = {
        str(parameter.envvar)
        for name in cli._COMMANDS
        if (command := cli.meltemi.get_command(click.Context(cli.meltemi), name))
        for parameter in command.params
        if parameter.envvar
    }
    assert there == {f"MELTEMI_{name}" for name in tested}

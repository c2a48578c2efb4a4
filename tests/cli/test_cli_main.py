"""The command line as a whole: options and their variables, exit codes, completion, defects."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from meltemi.cli import main as cli
from meltemi.cli import work
from meltemi.errors import (
    ArchiveError,
    AuthenticationError,
    GuardError,
    MeltemiError,
    StalePlanError,
    UnreachableError,
    UsageError,
)
from meltemi.libraries.archive import open_archive
from meltemi.model.route import Route
from meltemi.replication.run import Libraries
from tests.cli import starting as real

NAMES = list(cli._COMMANDS)


def command(name: str) -> click.Command:
    found = cli.meltemi.get_command(click.Context(cli.meltemi), name)
    assert isinstance(found, click.Command)
    return found


def options() -> Iterator[tuple[str, click.Option]]:
    for name in NAMES:
        for parameter in command(name).params:
            if isinstance(parameter, click.Option):
                yield name, parameter


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(words))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(("name", "option"), [*options()], ids=lambda v: getattr(v, "name", v))
def test_every_option_is_a_variable_too(name: str, option: click.Option) -> None:
    assert option.name
    assert option.envvar == f"MELTEMI_{option.name.upper()}", name


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_is_listed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--help") == 0
    assert run("--help") == 0
    assert name in capsys.readouterr().out
    for _, option in options():
        assert option.help


@pytest.mark.parametrize("name", NAMES)
def test_every_command_imports_what_it_needs(name: str) -> None:
    """In a process where nobody else has imported it."""
    assert f"Usage: meltemi {name} " in real.succeed(name, "--help").out


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("MELTEMI_TRANSFERS", "3", "transfers", 3),
        ("MELTEMI_CHUNKSIZE", "128k", "chunksize", 131072),
        ("MELTEMI_FORMAT", "json", "format", "json"),
        ("MELTEMI_MATCH", "name=a visibility=public", "match", ("name=a", "visibility=public")),
        ("MELTEMI_DRY_RUN", "1", "dry_run", True),
        ("MELTEMI_ON_CONFLICT", "rename", "on_conflict", "rename"),
        ("MELTEMI_CACERT", "/ca", "cacert", Path("/ca")),
    ],
)
def test_variables_are_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, key: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    context = command("livecopy").make_context("livecopy", ["a", "b"])
    assert context.params[key] == expected


@pytest.mark.parametrize(
    "words",
    [
        ["lifecopy"],
        ["livecopy"],
        ["livecopy", "a"],
        ["livecopy", "a", "b", "--matsch", "x"],
        ["livecopy", "a", "b", "--match", "x"],
        ["livecopy", "a", "b", "--match", "colour=x"],
        ["livecopy", "a", "b", "--match", "min_size=1", "--match", "min_size=2"],
        ["livecopy", "a", "b", "--map-owner", "x"],
        ["livecopy", "a", "b", "--map-value", "x=y"],
        ["livecopy", "a", "b", "--chunksize", "0"],
        ["livecopy", "a", "b", "--chunksize", "17M"],
        ["livecopy", "a", "b", "--line\nbreak"],
        ["livecopy", "a", "b", "--bwlimit", "0"],
        ["livecopy", "a", "b", "--transfers", "0"],
        ["livecopy", "a", "b", "--max-delete", "-1"],
        ["livecopy", "a", "b", "--grace", "soon"],
        ["livecopy", "a", "b", "-f", "xml"],
        ["livecopy", "a", "b", "-c", "Colour"],
        ["livecopy", "a", "a"],
        ["compare", "a", "b", "a"],
        ["size", "?"],
        ["plan", "/nowhere/meltemi.yaml"],
        ["apply", "/nowhere/plan"],
        ["completion", "tcsh"],
    ],
)
def test_misuse(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    [line] = captured.err.splitlines()
    assert line.startswith("meltemi: ")


def test_misuse_points_to_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    run("livecopy", "a")
    assert capsys.readouterr().err.endswith("; see meltemi livecopy --help\n")
    run("lifecopy")
    assert capsys.readouterr().err.endswith("; see meltemi --help\n")


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "livecopy" in capsys.readouterr().err


VERBS = ["livecopy", "compare", "dump", "load", "size"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_glance_replicator_is_understood(verb: str) -> None:
    words = ["a"] if verb == "size" else ["a", "b"]
    values = {
        "dontreplicate": "colour",
        "token": "t",
        "sourcetoken": "s",
        "targettoken": "u",
        "chunksize": "1024",
    }
    for key, value in values.items():
        words += [f"--{key}", value]
    given = command(verb).make_context(verb, [*words, "--metaonly"]).params
    assert {key: given[key] for key in values} == {**values, "chunksize": 65536}
    assert given["metaonly"] is True


@pytest.mark.parametrize(
    ("verb", "silent"),
    [
        ("livecopy", set()),
        ("compare", {"chunksize"}),
        ("dump", {"targettoken"}),
        ("load", {"sourcetoken"}),
        ("size", {"metaonly", "dontreplicate", "targettoken", "chunksize"}),
    ],
)
def test_options_without_effect_are_not_in_the_help(verb: str, silent: set[str]) -> None:
    assert {option.name for name, option in options() if name == verb and option.hidden} == silent


def test_options_without_effect_change_nothing(tmp_path: Path) -> None:
    words = ("size", str(_archive(tmp_path)), "-f", "value")
    legacy = ("-m", "-D", "x", "--targettoken", "x", "--chunksize", "1")
    assert real.succeed(*words, *legacy).out == real.succeed(*words).out


@pytest.mark.parametrize("dead", ["from", "to"])
async def test_of_several_routes_the_library_that_is_dead_is_named(
    tmp_path: Path, dead: str
) -> None:
    error = UnreachableError("gone")
    living = "to" if dead == "from" else "from"
    library = open_archive(tmp_path / living, name=living, writable=True)
    libraries = Libraries({living: library}, {dead: error})
    try:
        plan = await work._plan(Route("one", "from", ("to",)), libraries, alone=False)
    finally:
        await library.close()
    assert plan.errors == {dead: error}


def test_a_mistyped_option_is_answered_with_the_right_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("livecopy", "a", "b", "--matsch", "x")
    assert "--match" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (StalePlanError("x"), 4),
        (AuthenticationError("x"), 5),
        (UnreachableError("x"), 6),
        (GuardError("x"), 7),
        (ArchiveError("x"), 8),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 70),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(cli.meltemi, "main", failing)
    assert run("size", "x") == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_error_is_one_line() -> None:
    text = str(MeltemiError("a\nb\r\n  c\x1b[31m"))
    assert text.startswith("a b c")
    assert text.isprintable()


@pytest.mark.parametrize("flag", [["--debug"], ["-d"], []])
def test_a_defect_shows_its_trace_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: list[str]
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("meltemi.cli.size.print_rows", failing)
    if not flag:
        assert run("size", str(_archive(tmp_path))) == cli.DEFECT
        monkeypatch.setenv("MELTEMI_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["size", str(_archive(tmp_path)), *flag])


def _archive(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    asyncio.run(open_archive(path, name="made", writable=True).close())
    return path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_MELTEMI_COMPLETE" in real.succeed("completion", shell).out


def test_formats_of_a_real_list(tmp_path: Path) -> None:
    path = str(_archive(tmp_path))
    assert json.loads(real.succeed("size", path, "-f", "json").out) == [
        {"Library": path, "Images": 0, "Bytes": 0, "Size": "0 B"}
    ]
    assert real.succeed("size", path, "-f", "value", "-c", "bytes", "-c", "Images").out == "0 0\n"
    assert real.succeed("size", path, "-f", "csv", "-c", "Size").out == "Size\n0 B\n"
    assert "Images" in real.succeed("size", path).out
    assert real.succeed("size", path, "-f", "yaml", "-c", "Bytes").out == "- Bytes: 0\n"

"""What options and variables accept; what is wrong with others is told in a plain line."""

from pathlib import Path
from typing import Any

import click
import pytest

from meltemi.cli import main as cli
from tests.support.archives import make_archive
from tests.support.cli import meltemi


def refused(*words: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Give the line that refuses such words."""
    return meltemi(*words, code=2, env=env, cwd=cwd).complaint


def given(*words: str) -> dict[str, Any]:
    """Give the values that livecopy reads from words and variables."""
    command = cli.meltemi.get_command(click.Context(cli.meltemi), "livecopy")
    assert command is not None
    return command.make_context("livecopy", ["a", "b", *words]).params


@pytest.mark.parametrize("option", ["--token", "--sourcetoken", "--targettoken"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token_may_come_with_the_end_of_its_line(option: str, end: str) -> None:
    assert given(option, f"s3cret=={end}")[option.removeprefix("--")] == "s3cret=="


@pytest.mark.parametrize("token", ["s3\ncret", "s3\rcret", "s3 cret", "s3\tcret", "s3crét", "\x7f"])
def test_a_token_that_no_header_holds_is_refused_and_not_shown(token: str) -> None:
    line = refused("livecopy", "h:1", "h:2", "--sourcetoken", token)
    assert "'--sourcetoken': a token is of ASCII characters" in line
    assert token not in line
    assert "s3" not in line


@pytest.mark.parametrize("timeout", ["0s", "0", "0m0s"])
def test_no_time_at_all_is_no_timeout(timeout: str) -> None:
    assert "give at least 1s" in refused("size", "h:1", "--timeout", timeout)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["plan", "--out", ""], "'--out'"),
        (["plan", ""], "'[FILE]'"),
        (["sync", ""], "'[FILE]'"),
        (["apply", ""], "'PLAN'"),
        (["size", "./here", "--cacert", ""], "'--cacert'"),
    ],
)
def test_an_empty_path_is_no_file(words: list[str], name: str) -> None:
    assert f"Invalid value for {name}: an empty path" in refused(*words)


@pytest.mark.parametrize("out", [".", "/"])
def test_a_plan_is_no_folder(tmp_path: Path, out: str) -> None:
    assert "is a directory" in refused("plan", "--out", out, cwd=tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "span"),
    [
        *(("--transfers", value, "from 1 to 256") for value in ("abc", "0", "257", "1.5", "²", "")),
        *(("--max-delete", value, "of 0 or more") for value in ("x", "-1", "--1")),
    ],
)
def test_a_number_that_is_none(option: str, value: str, span: str) -> None:
    line = refused("livecopy", "h:1", "h:2", f"{option}={value}")
    assert f"{value!r} is not a whole number {span}" in line


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("64", 64), ("+7", 7), (" 8 ", 8)])
def test_numbers(text: str, number: int) -> None:
    assert given("--transfers", text)["transfers"] == number


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("visibility=publik", "visibility: 'publik' is none; it has to be 'private', 'shared', "),
        ("status=tired", "status: 'tired' is none; it has to be 'queued', 'saving', "),
        ("colour=x", "colour: unknown key; there are name, id, visibility, owner, "),
        ("min_size=many", "min_size: 'many' is not a size; use "),
        ("max_age=1x", "max_age: '1x' is not a duration; use "),
        ("property:=x", "property: has to be some text"),
    ],
)
def test_a_selection_that_is_mistyped_says_what_there_is(word: str, line: str) -> None:
    """In words of its own: none of a library that happens to check it."""
    for option in ("--match", "--exclude"):
        assert f"Invalid value for {option}: {line}" in refused("size", "h:1", option, word)


def test_tests_that_exclude_each_other() -> None:
    line = refused("size", "h:1", "--match", "min_size=9", "--match", "max_size=3")
    assert "min_size=9 max_size=3: min_size is above max_size" in line


@pytest.mark.parametrize(
    ("typed", "meant"), [("livecoy", "livecopy"), ("synk", "sync"), ("complete", "completion")]
)
def test_a_mistyped_command_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    assert f"no command '{typed}' (did you mean {meant}?)" in refused(typed)


def test_a_command_that_is_like_no_other() -> None:
    assert refused("xyzzy") == "meltemi: no command 'xyzzy'; see meltemi --help"


VARIABLE = "MELTEMI_MATCH"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("name=a visibility=public", ["name=a", "visibility=public"]),
        ("name='Debian 12' tag=gold", ["name=Debian 12", "tag=gold"]),
        ('"name=Debian 12"\ntag=gold\n', ["name=Debian 12", "tag=gold"]),
        (r"name=Debian\ 12", ["name=Debian 12"]),
        ("name=#1", ["name=#1"]),
        ("   ", []),
    ],
)
def test_a_variable_of_a_repeatable_option_is_split_as_a_shell_would(
    monkeypatch: pytest.MonkeyPatch, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert list(given()["match"]) == words


def test_a_quotation_that_does_not_end() -> None:
    line = refused("size", "h:1", env={VARIABLE: "name='Debian 12"})
    assert f"Invalid value for {VARIABLE}: cannot be split into words: no closing quota" in line


def test_an_image_whose_name_has_a_blank_is_matched_from_the_environment(tmp_path: Path) -> None:
    make_archive(tmp_path / "here", {"Debian 12": b"12", "Debian": b"other", "12": b"other"})
    env = {VARIABLE: "name='Debian 12'"}
    done = meltemi("size", tmp_path / "here", "-f", "json", code=0, env=env)
    assert (done.rows[0]["Images"], done.rows[0]["Bytes"]) == (1, 2)

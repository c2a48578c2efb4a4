"""Rows as a table, JSON, YAML, CSV and values; progress as lines and as bars."""

import csv
import io
import json
import os
import pty
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import pytest
import yaml
from rich.cells import cell_len

from meltemi.cli.output import FORMATS, print_rows
from meltemi.cli.progress import Bars, Lines, progress
from meltemi.cli.telling import telling
from meltemi.errors import UsageError
from meltemi.model.plan import Action, Kind, Plan, Subject
from meltemi.replication.report import Outcome, Result

HOSTILE = 'a,"b"\n\x1b]0;evil\x07 [bold]ü{x}'
ROWS: list[dict[str, Any]] = [
    {"ID": "1", "Name": HOSTILE, "Bytes": 5},
    {"ID": "2", "Name": None, "Bytes": 0},
]
COLUMNS = ("ID", "Name", "Bytes")
ACTION = Action(
    Kind.COPY,
    Subject("route", "source", "target", "1", HOSTILE),
    "1",
    "why",
    "a",
    "b",
    bytes=100,
)


def printed(capsys: pytest.CaptureFixture[str], form: str, columns: tuple[str, ...] = ()) -> str:
    print_rows(ROWS, COLUMNS, {"format": form, "column": columns})
    return capsys.readouterr().out


@pytest.mark.parametrize("form", FORMATS)
def test_no_control_character_comes_through(capsys: pytest.CaptureFixture[str], form: str) -> None:
    text = printed(capsys, form)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_machine_formats_say_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "json")) == ROWS
    assert yaml.safe_load(printed(capsys, "yaml")) == ROWS
    rows = list(csv.reader(io.StringIO(printed(capsys, "csv"))))
    assert [len(row) for row in rows] == [3, 3, 3]
    assert rows[0] == list(COLUMNS)


def test_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(printed(capsys, "value").splitlines()) == 2
    assert len(printed(capsys, "table").splitlines()) == 4
    assert "[bold]" in printed(capsys, "table")


class Terminal(io.StringIO):
    """Takes what is printed as a terminal does."""

    def isatty(self) -> bool:
        return True


def tabulated(out: io.StringIO, columns: Sequence[str], *rows: Sequence[str]) -> list[str]:
    """Give the lines of a table without what makes its head bold, and blanks at their ends."""
    with redirect_stdout(out):
        wanted = {"format": "table", "column": ()}
        print_rows([dict(zip(columns, row, strict=True)) for row in rows], columns, wanted)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in out.getvalue().splitlines()]


def test_columns_stand_below_each_other() -> None:
    rows = ["1", "名前", "ready"], ["22", "a", "ü"]
    assert tabulated(io.StringIO(), ("ID", "Name", "Status"), *rows) == [
        "ID ┃ Name ┃ Status",
        "━━━╇━━━━━━╇━━━━━━━",
        "1  │ 名前 │ ready",
        "22 │ a    │ ü",
    ]


def test_a_table_fits_its_terminal_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "25")
    rows = ["0123456789", "out of room in there", "名前名前名"], ["1", "", "ready"]
    told = tabulated(Terminal(), ("ID", "Why", "Status"), *rows)
    assert max(map(cell_len, told)) <= 25
    cells = [re.split("[┃│]", line) for line in told if "╇" not in line]
    texts = ("".join(column).split() for column in zip(*cells, strict=True))
    assert ["".join(words) for words in texts] == [
        "ID01234567891",
        "Whyoutofroominthere",
        "Status名前名前名ready",
    ]


def test_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "value", ("bytes", "ID")) == "5 1\n0 2\n"
    with pytest.raises(UsageError, match="'Size': there are ID, Name, Bytes"):
        printed(capsys, "value", ("Size",))


def test_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    for form, expected in (("json", "[]\n"), ("yaml", "[]\n"), ("value", ""), ("csv", "ID\n")):
        print_rows([], ("ID",), {"format": form, "column": ()})
        assert capsys.readouterr().out == expected


@pytest.mark.parametrize("result", Result)
def test_lines(capsys: pytest.CaptureFixture[str], result: Result) -> None:
    with progress() as reporter:
        assert isinstance(reporter, Lines)
        reporter.expect(Plan((ACTION,)))
        reporter.started(ACTION)
        reporter.moved(ACTION, 60)
        reporter.finished(Outcome(ACTION, result, "because", "1", 100, 1.0))
    captured = capsys.readouterr()
    assert captured.out == ""
    first, last = captured.err.splitlines()
    assert first.startswith("1 action, 100 B")
    assert result in last
    assert "because" in last
    assert "\x1b" not in captured.err


def test_a_narrow_terminal_cuts_names_never_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    main, side = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    subject = replace(ACTION.subject, name="a golden image of the longest of names " * 3)
    action = replace(ACTION, subject=subject, bytes=123 * 2**30)
    with os.fdopen(side, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress() as reporter:
            assert isinstance(reporter, Bars)
            reporter.expect(Plan((action,)))
            reporter.started(action)
            reporter.moved(action, 45 * 2**30)
            reporter._progress.refresh()
            shown = ""
            while "45.0/123.0 GiB" not in shown:
                shown += os.read(main, 1 << 16).decode()
    os.close(main)
    name = shown.partition("45.0/123.0 GiB")[0].rpartition("a golden")[2]
    assert "…" in name
    assert "\n" not in name


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    main, side = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with os.fdopen(side, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress() as reporter:
            assert isinstance(reporter, Bars)
            reporter.expect(Plan((ACTION,)))
            reporter.started(ACTION)
            reporter.moved(ACTION, 60)
            reporter.moved(ACTION, -60)
            reporter._progress.refresh()
            reporter.finished(Outcome(ACTION, Result.FAILED, "because", "1"))
        terminal.flush()
        shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert "in total" in shown
    assert "because" in shown
    assert "\x1b]0;evil" not in shown


def test_how_far_bytes_have_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines where nobody looks, and a bar that moves on a terminal."""
    monkeypatch.setattr("meltemi.cli.telling._EVERY_SECONDS", 0)
    with telling("push x.raw", 4 * 2**20) as tell:
        tell(2**20, 4 * 2**20)
        tell(4 * 2**20, None)
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == "push x.raw: 25 %, 1.0 MiB of 4.0 MiB"
    assert second == "push x.raw: 4.0 MiB"
    assert last.startswith("push x.raw: 4.0 MiB in ")
    main, side = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    shown = ""
    with os.fdopen(side, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with telling("push x.raw", 4 * 2**20) as tell:
            tell(2**20, 4 * 2**20)
            while "1.0/4.0 MiB" not in shown:
                shown += os.read(main, 1 << 16).decode()
    os.close(main)
    assert "push x.raw" in shown

"""Printing lists as `openstack` does: as a table, JSON, YAML, CSV or bare values.

A program loses nothing, whatever stdout can show: where that is ASCII only, JSON escapes and
click writes UTF-8 all the same. In a table, which is for a person, question marks stand then.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from meltemi.cli.options import option, together
from meltemi.errors import UsageError, printable

FORMATS: Final = ("table", "json", "yaml", "csv", "value")

output_options = together(
    option(
        "-f",
        "--format",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to print.",
    ),
    option("-c", "--column", multiple=True, help="Print this column only; repeatable."),
)


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], options: Mapping[str, Any]
) -> None:
    """Print rows to stdout in the wanted format and columns."""
    wanted = _choose(columns, options["column"])
    _FORMATTERS[options["format"]]([[row[name] for name in wanted] for row in rows], wanted)


def print_one(row: Mapping[str, Any], columns: Sequence[str], options: Mapping[str, Any]) -> None:
    """Print one row; in a table, which a person reads, a line for each column."""
    if options["format"] != "table":
        print_rows([row], columns, options)
        return
    wanted = {name.lower() for name in options["column"] or columns}
    fields = [{"Field": name, "Value": row[name]} for name in columns if name.lower() in wanted]
    print_rows(fields, ("Field", "Value"), {**options, "column": ()})


def printing_rows(
    columns: Sequence[str], options: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], None]:
    """Give what prints one row at a time, as they come: of JSON, each is a line of its own."""
    wanted = _choose(columns, options["column"])
    form = options["format"]
    if form == "csv":
        _csv([], wanted)

    def show(row: Mapping[str, Any]) -> None:
        cells = [row[name] for name in wanted]
        if form == "json":
            click.echo(json.dumps(dict(zip(wanted, cells, strict=True))))
        elif form == "csv":
            click.echo(_csv_lines([cells]), nl=False)
        elif form == "yaml":
            _yaml([cells], wanted)
        else:
            click.echo("  ".join(filter(None, map(_plain, cells))))

    return show


def check_columns(columns: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse an unknown column before any work is done."""
    _choose(columns, options["column"])


def _choose(columns: Sequence[str], wanted: Sequence[str]) -> list[str]:
    known = {name.lower(): name for name in columns}
    unknown = [name for name in wanted if name.lower() not in known]
    if unknown:
        raise UsageError(f"no column {unknown[0]!r}: there are {', '.join(columns)}")
    return [known[name.lower()] for name in wanted] or list(columns)


def _table(rows: list[list[Any]], columns: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(show_edge=False, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if terminal else 10_000, soft_wrap=not terminal).print(
        table
    )


def _json(rows: list[list[Any]], columns: list[str]) -> None:
    click.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))


def _yaml(rows: list[list[Any]], columns: list[str]) -> None:
    import yaml  # noqa: PLC0415 - only where wanted

    found = [dict(zip(columns, row, strict=True)) for row in rows]
    click.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), nl=False)


def _csv(rows: list[list[Any]], columns: list[str]) -> None:
    click.echo(_csv_lines([columns, *rows]), nl=False)


def _csv_lines(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue()


def _value(rows: list[list[Any]], _: list[str]) -> None:
    for row in rows:
        click.echo(" ".join(_plain(cell) for cell in row))


def _plain(cell: Any) -> str:
    return printable("" if cell is None else str(cell))


_FORMATTERS: Final[Mapping[str, Callable[[list[list[Any]], list[str]], None]]] = {
    "table": _table,
    "json": _json,
    "yaml": _yaml,
    "csv": _csv,
    "value": _value,
}

"""Writing figures into their page of the documentation, beside them as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.figures import Figure, Result, Table

_DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
_BEGIN, _END = "<!-- figures -->", "<!-- end -->"


def line(figure: Figure) -> str:
    """Say a figure in a line."""
    verdict = "" if figure.met else "  MISSED"
    return f"{figure.name}: {_number(figure.measured)} {figure.unit} ({figure.wanted}){verdict}"


def lines(table: Table) -> str:
    """Say a table in lines."""
    widths = [
        max(len(row[i]) for row in [table.columns, *table.rows]) for i in range(len(table.columns))
    ]
    told = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [table.columns, *table.rows]
    ]
    return "\n".join([table.title, *told])


def write(page: str, facts: Mapping[str, str], results: Sequence[Result]) -> None:
    """Put results between the marks of their page."""
    body = {
        "facts": facts,
        "figures": [asdict(result) for result in results if isinstance(result, Figure)],
        "tables": [asdict(result) for result in results if isinstance(result, Table)],
    }
    (_DOCS / f"{page}.json").write_text(json.dumps(body, indent=1) + "\n")
    path = _DOCS / f"{page}.md"
    head, _, rest = path.read_text().partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    told = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    parts = [_BEGIN, f"{told}\n", _figures(results)]
    parts += [_table(result) for result in results if isinstance(result, Table)]
    path.write_text(head + "\n".join([*parts, _END]) + tail)


def _figures(results: Sequence[Result]) -> str:
    rows = [
        [
            figure.name,
            figure.wanted,
            f"**{_number(figure.measured)} {figure.unit}**" + ("" if figure.met else " (missed)"),
            _runs(figure),
        ]
        for figure in results
        if isinstance(figure, Figure)
    ]
    return _rows(["figure", "wanted", "median", "runs, smallest to largest"], rows)


def _table(table: Table) -> str:
    about = f"{table.about}\n\n" if table.about else ""
    return f"\n### {table.title}\n\n{about}{_rows(table.columns, table.rows)}"


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines_ = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines_)


def _runs(figure: Figure) -> str:
    return "; ".join(
        f"{name} " + ", ".join(_number(value) for value in sorted(values))
        for name, values in figure.runs.items()
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.2f}"

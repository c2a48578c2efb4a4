"""Writing figures into their page of the documentation, beside them as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

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


def write(
    page: str, names: Sequence[str], case: str, facts: Mapping[str, str], results: Sequence[Result]
) -> None:
    """Put what a case gave between the marks of its page, in place of what it gave before.

    `names` are those of all cases, in their order.
    """
    kept = _DOCS / f"{page}.json"
    cases = json.loads(kept.read_text()) if kept.exists() else {}
    cases[case] = {
        "facts": facts,
        "figures": [asdict(result) for result in results if isinstance(result, Figure)],
        "tables": [asdict(result) for result in results if isinstance(result, Table)],
    }
    cases = {name: cases[name] for name in names if name in cases}
    kept.write_text(json.dumps(cases, indent=1) + "\n")
    path = _DOCS / f"{page}.md"
    head, _, rest = path.read_text().partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    path.write_text(head + "\n".join([_BEGIN, *_told(cases), _END]) + tail)


def _told(cases: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of a page: what the cases have in common, then what each gave."""
    every = [case["facts"].items() for case in cases.values()]
    common = dict(set.intersection(*map(set, every)))
    yield from (f"- {key}: {value}" for key, value in sorted(common.items()))
    for name, case in cases.items():
        own = {key: value for key, value in case["facts"].items() if key not in common}
        yield f"\n## {name}\n"
        if own:
            yield "; ".join(f"{key}: {value}" for key, value in own.items()) + "\n"
        if case["figures"]:
            yield _figures([Figure(**figure) for figure in case["figures"]])
        for table in case["tables"]:
            yield _table(Table(**table))


def _figures(figures: Sequence[Figure]) -> str:
    rows = [
        [
            figure.name,
            figure.wanted,
            f"**{_number(figure.measured)} {figure.unit}**" + ("" if figure.met else " (missed)"),
            _runs(figure),
        ]
        for figure in figures
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

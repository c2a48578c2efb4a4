"""Measure: `python -m bench [--quick] [CASE …]`."""

import argparse
import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.cases import CASES, QUICK, Figure, Scale
from bench.services import services

_DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"


def main() -> None:
    """Run the cases and print their ratios; write them down where all were run in full."""
    names = {case.__name__: case for case in CASES}
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the harness")
    parser.add_argument("cases", nargs="*", choices=[*names, []], help="default: all")
    options = parser.parse_args()
    figures: list[Figure] = []
    with services("source", "one", "two", "three") as started:
        for name in options.cases or names:
            for figure in names[name](started, QUICK if options.quick else Scale()):
                print(_line(figure), flush=True)
                figures.append(figure)
            if not options.quick and not options.cases:
                _write(figures)


def _line(figure: Figure) -> str:
    verdict = "" if figure.met else "  MISSED"
    return f"{figure.name}: {figure.measured:.2f} {figure.unit} (wanted: {figure.wanted}){verdict}"


def _write(figures: list[Figure]) -> None:
    facts = {
        "when": datetime.now(UTC).date().isoformat(),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "python": platform.python_version(),
        "glance": "33.0.0, uWSGI with 2 processes of 4 threads, PostgreSQL, file store",
        "curl": _output("curl", "--version").split("\n")[0],
        "command": "make bench",
    }
    body = {"facts": facts, "figures": [asdict(figure) for figure in figures]}
    (_DOCS / "replicator.json").write_text(json.dumps(body, indent=1) + "\n")
    table = "\n".join(
        f"| {f.name} | {f.wanted} | **{f.measured:.2f} {f.unit}** | {_runs(f)} |" for f in figures
    )
    page = (_DOCS / "replicator.md").read_text()
    head, _, rest = page.partition("<!-- figures -->")
    _, _, tail = rest.partition("<!-- end -->")
    told = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    columns = "| figure | wanted | median | runs, smallest to largest |\n|---|---|---|---|"
    figures_text = f"<!-- figures -->\n{told}\n\n{columns}\n{table}\n<!-- end -->"
    (_DOCS / "replicator.md").write_text(head + figures_text + tail)


def _runs(figure: Figure) -> str:
    return "; ".join(
        f"{name} " + ", ".join(f"{value:.2f}" for value in sorted(values))
        for name, values in figure.runs.items()
    )


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()

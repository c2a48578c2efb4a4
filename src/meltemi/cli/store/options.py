"""What the store's commands have in common on the command line."""

from typing import Final

import click

from meltemi.cli.options import Parsed, option, together
from meltemi.model.units import parse_bandwidth, parse_size

SIZE: Final = Parsed("size", parse_size)

store_argument = click.argument("address", metavar="STORE")
name_argument = click.argument("name", metavar="NAME")

store_options = together(
    option(
        "--index",
        metavar="URL",
        help="The index: sqlite:////path/to/file or postgresql://user@host/database. "
        "A store in a folder has its own there, index.sqlite, unless you name another.",
    ),
    option("-d", "--debug", is_flag=True, help="Log everything, and show tracebacks."),
    option("-v", "--verbose", is_flag=True, help="Log what is done."),
)


def _parse_rate(text: str) -> int | None:
    timetable = parse_bandwidth(text)
    if len(timetable) > 1:
        raise ValueError(f"{text!r} is a timetable; give one rate such as 10M, or off")
    return timetable[0][1] if timetable else None


RATE: Final = Parsed("rate", _parse_rate)

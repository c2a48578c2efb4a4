"""Tables for a person. Those of rich take seconds for ten thousand rows."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len

if TYPE_CHECKING:
    from rich.console import Console


class _Rules(NamedTuple):
    """What stands between the cells of a row; all are of the same width."""

    head: str
    below: str
    body: str
    fill: str


_BOX: Final = _Rules(" ┃ ", "━╇━", " │ ", "━")
_ASCII: Final = _Rules(" | ", "-+-", " | ", "-")


def lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    ascii_only: bool = False,
) -> Iterator[str]:
    """Give the lines of a table; cells are folded where it would not fit in a width.

    Widths are in cells of a terminal, of which some characters take none or two.
    """
    rules = _ASCII if ascii_only else _BOX
    widths = [max(map(_size, column)) for column in zip(columns, *rows, strict=True)]
    if width is not None:
        _narrow(widths, width - len(rules.body) * (len(columns) - 1))
    yield from _row(columns, widths, rules.head)
    yield rules.below.join(rules.fill * one for one in widths)
    for row in rows:
        yield from _row(row, widths, rules.body)


def _row(cells: Sequence[str], widths: Sequence[int], between: str) -> Iterator[str]:
    folded = [_fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*folded, fillvalue=""):
        padded = map(_pad, parts, widths)
        yield between.join(padded).rstrip()


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _size(text))


def _size(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest columns what there is no room for."""
    while sum(widths) > room and (widest := max(widths)) > 1:
        widths[widths.index(widest)] -= 1


def _fold(text: str, width: int) -> Sequence[str]:
    """Part a text into lines, between words where they are not too long for that."""
    if _size(text) <= width:
        return (text,)
    from rich.text import Text  # noqa: PLC0415 - slow to import

    return [line.plain for line in Text(text).wrap(_console(), width, overflow="fold")]


@cache
def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415 - slow to import

    return Console()

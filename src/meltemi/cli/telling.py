"""Telling how far bytes have come, on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from meltemi.model.units import format_size
from meltemi.workstation.steps import Tell

_EVERY_SECONDS: Final = 15.0


@contextmanager
def telling(what: str, total: int | None = None) -> Iterator[Tell]:
    """Give what is to be told; at the end of what went well, one line says how fast it was."""
    begun = time.monotonic()
    come = 0
    with _bar(what, total) if sys.stderr.isatty() else _lines(what) as show:

        def tell(done: int, total: int | None) -> None:
            nonlocal come
            come = done
            show(done, total)

        yield tell
    seconds = time.monotonic() - begun
    speed = format_size(int(come / max(seconds, 0.001)))
    click.echo(f"{what}: {format_size(come)} in {seconds:.1f} s, {speed}/s", err=True)


@contextmanager
def _lines(what: str) -> Iterator[Tell]:
    told = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told < _EVERY_SECONDS:
            return
        told = time.monotonic()
        share = f"{100 * done // total} %, " if total else ""
        of = f" of {format_size(total)}" if total else ""
        click.echo(f"{what}: {share}{format_size(done)}{of}", err=True)

    yield tell


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Tell]:
    from rich import progress  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415

    with progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done, total: bars.update(task, completed=done, total=total)

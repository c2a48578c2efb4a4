"""Telling a run's progress on stderr: bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

import click

from meltemi.errors import printable
from meltemi.model.plan import Action, Kind, Plan
from meltemi.model.units import format_size
from meltemi.replication.report import Outcome, Reporter, Result

_EVERY_SECONDS: Final = 15.0
"""How often a plain line says how far a long transfer is."""


@contextmanager
def progress() -> Iterator["Progress"]:
    """Choose bars or lines; bars are gone when the context ends."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    with Bars() as bars:
        yield bars


class Progress(Reporter):
    """A reporter that also hears what lies ahead."""

    def expect(self, plan: Plan) -> None:
        """Hear what a run is about to do."""
        raise NotImplementedError


class Lines(Progress):
    """One line when an image arrives, and now and then during long transfers."""

    def __init__(self) -> None:
        self._moved: dict[int, int] = {}
        self._told = time.monotonic()

    def expect(self, plan: Plan) -> None:
        """Say how much there is to do."""
        if plan.actions:
            count = len(plan.actions)
            things = f"{count} action{'s' * (count > 1)}"
            most = "at most " * plan.is_bound
            click.echo(f"{things}, {most}{format_size(plan.bytes)} to send", err=True)

    def started(self, action: Action) -> None:
        """Begin to count."""
        self._moved[id(action)] = 0

    def moved(self, action: Action, count: int) -> None:
        """Count; speak up from time to time."""
        moved = self._moved[id(action)] = self._moved.get(id(action), 0) + count
        if time.monotonic() - self._told > _EVERY_SECONDS:
            self._told = time.monotonic()
            share = f"{100 * moved // max(action.traffic, 1)} %"
            of = f"{format_size(moved)} of {format_size(action.traffic)}"
            click.echo(f"{_line(action)}: {share}, {of}", err=True)

    def finished(self, outcome: Outcome) -> None:
        """Tell the end of one action."""
        self._moved.pop(id(outcome.action), None)
        click.echo(_ending(outcome), err=True)


class Bars(Progress):
    """A bar for each image under way and one for all, with bytes, speed and time left."""

    def __init__(self) -> None:
        from rich import progress  # noqa: PLC0415 - slow to import
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        # Where a terminal is narrow, names give way, never numbers.
        named = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}", markup=False, table_column=named),
            progress.BarColumn(10),
            progress.DownloadColumn(binary_units=True, table_column=Column(no_wrap=True)),
            progress.TransferSpeedColumn(table_column=Column(no_wrap=True)),
            progress.TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._total = self._progress.add_task("in total", total=0)
        self._tasks: dict[int, progress.TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def expect(self, plan: Plan) -> None:
        """Lengthen the bar of all."""
        total = self._progress.tasks[self._total].total or 0
        self._progress.update(self._total, total=total + plan.bytes)

    def started(self, action: Action) -> None:
        """Show a bar for a copy."""
        if action.kind is Kind.COPY and action.bytes:
            subject = action.subject
            told = printable(f"{subject.name or subject.source_id} -> {subject.target}")
            task = self._progress.add_task(told, total=action.traffic)
            self._tasks[id(action)] = task

    def moved(self, action: Action, count: int) -> None:
        """Move the image's bar and that of all."""
        if (task := self._tasks.get(id(action))) is not None:
            self._progress.advance(task, count)
            self._progress.advance(self._total, count)

    def finished(self, outcome: Outcome) -> None:
        """Take the bar away; say what went wrong, where it did."""
        if (task := self._tasks.pop(id(outcome.action), None)) is not None:
            self._progress.remove_task(task)
        if outcome.result is not Result.DONE:
            self._progress.console.print(_ending(outcome), markup=False, highlight=False)


def _line(action: Action) -> str:
    subject = action.subject
    return f"{action.kind} {subject.label} -> {subject.target}"


def _ending(outcome: Outcome) -> str:
    line = f"{_line(outcome.action)}: {outcome.result}"
    if outcome.result is not Result.DONE:
        return f"{line}: {outcome.detail}"
    if outcome.bytes:
        speed = format_size(int(outcome.bytes / max(outcome.seconds, 0.001)))
        line += f", {format_size(outcome.bytes)} in {outcome.seconds:.1f} s, {speed}/s"
    if outcome.action.wire is not None:
        line += f", {format_size(outcome.wire)} on the wire"
    return f"{line}, {outcome.detail}" if outcome.detail else line

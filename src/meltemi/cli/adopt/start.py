"""`meltemi adopt start`."""

import asyncio
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import click

from meltemi.catalogue.adopting_base import Ledger
from meltemi.cli.adopt.work import config_option, opened, reached
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.errors import ConflictError
from meltemi.model.adoption import Progress
from meltemi.region.adoption.following import Follower
from meltemi.region.adoption.origin import Origin
from meltemi.region.data.janitor import BEAT_SECONDS

_COLUMNS: Final = ("Glance", "Images", "With data", "Size")


@click.command("start")
@config_option
@output_options
def command(config: Path, **options: Any) -> int:
    """Learn which images the Glance has: their metadata, members and hashes, no data yet.

    From then on the region can be started, and serves them. Run again, it compares at once what
    the region would compare by and by.
    """
    check_columns(_COLUMNS, options)
    endpoint, progress = asyncio.run(_start(config))
    row = {
        "Glance": endpoint,
        "Images": progress.images,
        "With data": progress.with_data,
        "Size": progress.size,
    }
    print_one(row, _COLUMNS, options)
    return 0


async def _start(config: Path) -> tuple[str, Progress]:
    async with opened(config) as (settings, ledger), reached(settings) as origin:
        await _must_not_be_served(ledger)
        await _learn(origin, ledger)
        return origin.endpoint, await ledger.progress()


async def _must_not_be_served(ledger: Ledger) -> None:
    """Refuse to begin while a region without this setting may be at work on the database."""
    if await ledger.state() is not None or not (before := await ledger.hearts()):
        return
    await asyncio.sleep(2 * BEAT_SECONDS)
    if before != await ledger.hearts():
        raise ConflictError("the region is being served: stop it, and start it again afterwards")


async def _learn(origin: Origin, ledger: Ledger) -> None:
    name = uuid4().hex
    await ledger.begin(origin.endpoint, name)
    await Follower(origin, ledger, name).compare()

"""`meltemi adopt finish`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import click

from meltemi.catalogue.adopting_base import Ledger
from meltemi.cli.adopt.work import config_option, opened, reached, tell
from meltemi.cli.options import option
from meltemi.errors import ConflictError, UnavailableError, UsageError
from meltemi.model.adoption import Missing, Stage
from meltemi.region.adoption.following import Follower

_LAST_CHANGES_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2


@click.command("finish")
@config_option
@option(
    "--without",
    metavar="ID",
    multiple=True,
    help="Leave this image behind, which cannot be brought here; repeatable.",
)
def command(config: Path, without: tuple[str, ...]) -> int:
    """Let the region stand alone, once everything is here and verified.

    For some seconds nobody can change anything: changes that are under way come to their end, and
    all images are compared for the last time. From then on the Glance is not asked any more, and
    there is no way back. Where something is missing, nothing is done, and the images are named.
    """
    missing = asyncio.run(_finish(config, without))
    for image in missing:
        tell(image)
    if missing:
        click.echo(
            f"{len(missing)} images are not here: wait, mend them, or leave them behind with "
            "--without ID",
            err=True,
        )
        return 3
    click.echo("finished: this region stands alone", err=True)
    return 0


async def _finish(config: Path, without: Sequence[str]) -> list[Missing]:
    async with opened(config) as (settings, ledger):
        state = await ledger.state()
        if state is None or state.stage in (Stage.READING, Stage.FINISHED):
            raise ConflictError(f"no adoption is running: it is {state.stage if state else 'none'}")
        if unknown := sorted({*without} - await ledger.names()):
            raise UsageError(f"--without {unknown[0]}: no such image is adopted")
        if missing := await _missing(ledger, without):
            return missing
        name = uuid4().hex
        async with reached(settings) as origin, _paused(ledger, name):
            await _until_nothing_is_passed(ledger)
            await Follower(origin, ledger, name).compare()
            if missing := await _missing(ledger, without):
                return missing
            await ledger.complete(name, without)
        return []


async def _missing(ledger: Ledger, without: Sequence[str]) -> list[Missing]:
    return [image for image in await ledger.missing() if image.id not in without]


@asynccontextmanager
async def _paused(ledger: Ledger, name: str) -> AsyncIterator[None]:
    """Let nobody change anything meanwhile, and let it run again where it is not finished."""
    await ledger.pause(name)
    try:
        yield
    finally:
        await ledger.resume(name)


async def _until_nothing_is_passed(ledger: Ledger) -> None:
    try:
        async with asyncio.timeout(_LAST_CHANGES_SECONDS):
            while await ledger.passings():  # noqa: ASYNC110 - it is other processes that pass on
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        count = await ledger.passings()
        raise UnavailableError(
            f"{count} changes, such as uploads, are still being passed on to the Glance: nothing "
            "was finished; run it again when they have ended",
            told="",
        ) from None

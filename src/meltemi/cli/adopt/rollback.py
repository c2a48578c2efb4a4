"""`meltemi adopt rollback`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from meltemi.cli.adopt.work import config_option, opened
from meltemi.errors import ConflictError


@click.command("rollback")
@config_option
def command(config: Path) -> int:
    """Give an adoption up: the Glance alone has everything, since all changes went there.

    Let users reach the Glance again first. The region forgets its images, and serves nothing any
    more; their data goes when it is started without `adopt`, or with its folder or bucket. The
    Glance is not asked, and may be away.
    """
    endpoint, count, own = asyncio.run(_roll_back(config))
    click.echo(f"rolled back: {count} images are those of {endpoint} alone", err=True)
    for image in own:
        click.echo(f"image {image}: it is only here; bring it over with meltemi livecopy", err=True)
    return 0


async def _roll_back(config: Path) -> tuple[str, int, Sequence[str]]:
    async with opened(config) as (_, ledger):
        state = await ledger.state()
        if state is None:
            raise ConflictError("no adoption is under way")
        count = await ledger.undo()
        return state.endpoint, count, await ledger.own()

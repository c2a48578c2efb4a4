"""`meltemi adopt status`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli.adopt.work import config_option, opened, tell
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.errors import ConflictError
from meltemi.model.adoption import Adoption, Missing, Progress, Stage

_COLUMNS: Final = (
    *("Stage", "Glance", "Started", "Compared", "Images", "With data", "Here"),
    *("Size", "Size here", "Failed", "Without hash"),
)


@click.command("status")
@config_option
@output_options
def command(config: Path, **options: Any) -> int:
    """Tell how far an adoption is; images that failed are named on stderr, each with the reason.

    The exit code is 0 once everything is here, 1 while it is not, 3 where images failed.
    """
    check_columns(_COLUMNS, options)
    adoption, progress, missing = asyncio.run(_look(config))
    print_one(_row(adoption, progress), _COLUMNS, options)
    for image in missing:
        if image.problem is not None:
            tell(image)
    if adoption.stage is Stage.FINISHED:
        return 0
    return 3 if progress.failed else int(bool(missing))


def _row(adoption: Adoption, progress: Progress) -> dict[str, Any]:
    """Give what is told; of one that is finished, nothing is counted any more."""
    row: dict[str, Any] = {
        "Stage": str(adoption.stage),
        "Glance": adoption.endpoint,
        "Started": adoption.started_at,
        "Compared": adoption.compared_at,
    }
    if adoption.stage is Stage.FINISHED:
        return {**dict.fromkeys(_COLUMNS), **row}
    return row | {
        "Images": progress.images,
        "With data": progress.with_data,
        "Here": progress.here,
        "Size": progress.size,
        "Size here": progress.size_here,
        "Failed": progress.failed,
        "Without hash": progress.unverifiable,
    }


async def _look(config: Path) -> tuple[Adoption, Progress, Sequence[Missing]]:
    async with opened(config) as (_, ledger):
        adoption = await ledger.state()
        if adoption is None:
            raise ConflictError("no adoption is under way: meltemi adopt start begins one")
        return adoption, await ledger.progress(), await ledger.missing()

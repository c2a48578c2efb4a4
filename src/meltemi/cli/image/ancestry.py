"""`meltemi image ancestry ID`."""

from contextlib import AsyncExitStack
from typing import Any, Final

import click

from meltemi.cli.image.work import in_region, library_options, opened, tell
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.work import run
from meltemi.libraries.base import Library
from meltemi.workstation.ancestry import ancestry

_COLUMNS: Final = ("ID", "Name", "Library", "Bytes", "Own")


@click.command("ancestry")
@click.argument("image_id", metavar="ID")
@library_options
@output_options
def command(image_id: str, **options: Any) -> int:
    """Show what the image ID was made from: a row for each generation, the youngest first.

    Parents are those that `push --base` and Nova record (base_image_ref). Own is what an image's
    data takes, compressed, that its parent does not have; a library that does not exchange pieces
    cannot tell. Of an image that borrows from another region, it is what it has itself.
    """
    check_columns(_COLUMNS, options)
    return run(_ancestry(image_id, options), options)


async def _ancestry(image_id: str, options: dict[str, Any]) -> int:
    rows = []
    async with opened(options) as library, AsyncExitStack() as stack:

        async def elsewhere(region: str) -> Library | None:
            name = in_region(options["library"], region)
            others = {**options, "library": name}
            return await stack.enter_async_context(opened(others)) if name else None

        async for one in ancestry(library, image_id, elsewhere):
            image = one.image
            row = {
                "ID": image.id,
                "Name": image.name,
                "Library": one.library,
                "Bytes": image.size,
                "Own": one.own,
            }
            rows.append(row)
            if one.end:
                tell(f"image {image.label}: {one.end}")
    print_rows(rows, _COLUMNS, options)
    return 0

"""`meltemi image ancestry ID`."""

from typing import Any, Final

import click

from meltemi.cli.image.work import library_options, opened, tell
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.work import run
from meltemi.workstation.ancestry import ancestry

_COLUMNS: Final = ("ID", "Name", "Bytes", "Own")


@click.command("ancestry")
@click.argument("image_id", metavar="ID")
@library_options
@output_options
def command(image_id: str, **options: Any) -> int:
    """Show what the image ID was made from: a row for each generation, the youngest first.

    Parents are those that `push --base` and Nova record (base_image_ref). Own is what an image's
    data takes, compressed, that its parent does not have; a library that does not exchange pieces
    cannot tell.
    """
    check_columns(_COLUMNS, options)
    return run(_ancestry(image_id, options), options)


async def _ancestry(image_id: str, options: dict[str, Any]) -> int:
    rows = []
    async with opened(options) as library:
        async for one in ancestry(library, image_id):
            image = one.image
            row = {"ID": image.id, "Name": image.name, "Bytes": image.size, "Own": one.own}
            rows.append(row)
            if one.end:
                tell(f"image {image.label}: {one.end}")
    print_rows(rows, _COLUMNS, options)
    return 0

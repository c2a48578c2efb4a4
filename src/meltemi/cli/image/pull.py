"""`meltemi image pull ID FILE`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli import options as opt
from meltemi.cli.image.work import library_options, opened, tell
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.telling import telling
from meltemi.cli.work import run
from meltemi.cli.working import GOES_ON
from meltemi.errors import ConflictError
from meltemi.libraries.base import Library
from meltemi.model.image import Image
from meltemi.workstation.draft import Draft
from meltemi.workstation.files import LocalFile
from meltemi.workstation.pulling import Pull, way_to
from meltemi.workstation.streaming import download

_COLUMNS: Final = ("ID", "Name", "File", "Bytes", "Wire")


@click.command("pull")
@click.argument("image_id", metavar="ID")
@click.argument("file", metavar="FILE", type=opt.FilePath(dir_okay=False))
@opt.option(
    "--seed",
    multiple=True,
    metavar="FILE",
    type=opt.FilePath(dir_okay=False),
    help="A file that has much of the data, as another image; repeatable. FILE is always one, "
    "where it is there.",
)
@library_options
@output_options
def command(image_id: str, file: Path, **options: Any) -> int:
    """Make FILE of the image ID, or replace it.

    What seeds have is copied from them, and only the rest is fetched. FILE is there, or changes,
    once its data has the hash on record. The same command again goes on where one was interrupted.
    """
    check_columns(_COLUMNS, options)
    with ExitStack() as stack:
        seeds = [stack.enter_context(closing(LocalFile(path))) for path in _seeds(file, options)]
        return run(_pull(image_id, file, seeds, options), options, leaves=GOES_ON)


def _seeds(file: Path, options: Mapping[str, Any]) -> Iterable[Path]:
    """Name the seeds, each once; what FILE was so far is one of them."""
    known = {os.path.realpath(path): path for path in options["seed"]}
    if file.is_file():
        known.setdefault(os.path.realpath(file), file)
    return known.values()


async def _pull(
    image_id: str, file: Path, seeds: Sequence[LocalFile], options: Mapping[str, Any]
) -> int:
    async with opened(options) as library:
        image = await library.show(image_id)
        if image.status != "active":
            raise ConflictError(
                f"{library.name}: image {image.label} is {image.status}: its data cannot be read"
            )
        wire = await _brought(library, image, file, seeds)
    row = {
        "ID": image.id,
        "Name": image.name,
        "File": str(file),
        "Bytes": image.size,
        "Wire": wire,
    }
    print_one(row, _COLUMNS, options)
    return 0


async def _brought(library: Library, image: Image, file: Path, seeds: Sequence[LocalFile]) -> int:
    """Bring an image; give how many bytes crossed the wire."""
    way = await way_to(library, image)
    if isinstance(way, str):
        tell(f"image {image.label} is fetched as a whole: {way}")
        with closing(Draft(file, image.id, "whole")) as draft:
            return await download(library, image, draft, telling)
    with closing(Draft(file, image.id, "part")) as draft:
        pull = Pull(library, image, *way, draft)
        await pull.run(seeds, telling)
    return pull.wire

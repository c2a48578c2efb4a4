"""`meltemi image push FILE`."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli import options as opt
from meltemi.cli.image.work import library_options, opened, tell
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.telling import telling
from meltemi.cli.work import run
from meltemi.cli.working import GOES_ON
from meltemi.model.image import Image
from meltemi.workstation.ancestry import PARENT
from meltemi.workstation.files import LocalFile
from meltemi.workstation.formats import check_raw
from meltemi.workstation.pushing import Push

_COLUMNS: Final = ("ID", "Name", "Bytes", "Wire", "Hash")


@click.command("push")
@click.argument("file", metavar="FILE", type=opt.FilePath())
@opt.option("--name", required=True, help="The image's name.")
@opt.option(
    "--base",
    multiple=True,
    metavar="ID",
    help="An image that has much of the data; repeatable. The first is recorded as the parent. "
    "Without it, images that look alike are compared with.",
)
@opt.option("--id", metavar="ID", help="The image's id.")
@opt.option("--disk-format", help="What the file is.  [default: raw, unless it looks otherwise]")
@opt.option("--container-format", default="bare", show_default=True, help="What that lies in.")
@opt.option("--property", multiple=True, metavar="KEY=VALUE", help="A property; repeatable.")
@opt.option("--tag", multiple=True, help="A tag; repeatable.")
@opt.option(
    "--visibility",
    type=click.Choice(["private", "shared", "community", "public"]),
    default="private",
    show_default=True,
    help="Who may see it.",
)
@library_options
@output_options
def command(file: Path, **options: Any) -> int:
    """Make an image of FILE, a file or a disk, and print its id.

    FILE is cut as a region cuts data, and only what the library lacks is sent. The image is active
    once the library has the hash that FILE has. The same command again goes on where one was
    interrupted.
    """
    check_columns(_COLUMNS, options)
    parent = dict.fromkeys([PARENT], options["base"][0]) if options["base"] else {}
    image = Image(
        options["id"] or "",
        name=options["name"],
        visibility=options["visibility"],
        disk_format=options["disk_format"] or "raw",
        container_format=options["container_format"],
        tags=frozenset(options["tag"]),
        properties={**parent, **opt.pairs(options["property"], "--property")},
    )
    return run(_push(file, image, options), options, leaves=GOES_ON)


async def _push(path: Path, image: Image, options: dict[str, Any]) -> int:
    wire = 0
    with closing(LocalFile(path)) as file:
        if options["disk_format"] is None:
            check_raw(file)
        async with opened(options) as library:
            push = Push(library, file, image, options["base"])
            await push.begin()
            if push.whole:
                tell(f"{file.label} is sent as a whole: {push.whole}")
            with telling(f"read {file.label}", file.size) as show:
                await push.read(lambda done: show(done, file.size))
            with telling(f"push {file.label}", file.size if push.whole else None) as show:

                def moved(count: int) -> None:
                    nonlocal wire
                    wire += count
                    show(wire, file.size if push.whole else None)

                stored = await push.send(moved)
    found = stored.hashes
    row = {
        "ID": stored.id,
        "Name": stored.name,
        "Bytes": stored.size,
        "Wire": wire,
        "Hash": f"{found.algorithm}:{found.value}" if found.value else f"md5:{found.checksum}",
    }
    print_one(row, _COLUMNS, options)
    return 0

"""`meltemi store get STORE NAME`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from meltemi.chunks.blob import Buffer
from meltemi.chunks.reader import Reader
from meltemi.cli.options import option
from meltemi.cli.store.data import must_take_data, to_file, to_stdout
from meltemi.cli.store.options import name_argument, store_argument, store_options
from meltemi.cli.store.work import about, working
from meltemi.cli.telling import telling
from meltemi.workstation.steps import Tell


@click.command("get")
@store_argument
@name_argument
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE, which is there only when it is complete.",
)
@store_options
def command(address: str, name: str, output: Path | None, **options: Any) -> int:
    """Give the data of the image NAME, to stdout or a file; every piece of it is verified."""
    if output is None:
        must_take_data()
    leaves = f"image {name} was not given to its end"
    with working(address, options, leaves=leaves) as store, about(name):
        reader = store.reader(store.head(name))
        if output is None:
            with telling(f"get {name}", reader.size) as tell:
                to_stdout(_told(reader, tell))
            return 0
        with closing(to_file(output)) as target, telling(f"get {name}", reader.size) as tell:
            target.fill(_told(reader, tell))
    return 0


def _told(reader: Reader, tell: Tell) -> Iterator[Buffer]:
    come = 0
    for piece in reader.read():
        yield piece
        come += len(piece)
        tell(come, reader.size)

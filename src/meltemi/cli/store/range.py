"""`meltemi store range STORE NAME OFFSET LENGTH`."""

from typing import Any

import click

from meltemi.cli.store.data import must_take_data, to_stdout
from meltemi.cli.store.options import SIZE, name_argument, store_argument, store_options
from meltemi.cli.store.work import about, working
from meltemi.errors import UsageError


@click.command("range")
@store_argument
@name_argument
@click.argument("offset", metavar="OFFSET", type=SIZE)
@click.argument("length", metavar="LENGTH", type=SIZE)
@store_options
def command(address: str, name: str, offset: int, length: int, **options: Any) -> int:
    """Give LENGTH bytes of the image NAME, from OFFSET on, to stdout.

    Both may have units: 1MiB, 64k. What would lie behind the end of the image is left out.
    """
    must_take_data()
    leaves = f"image {name} was not given to its end"
    with working(address, options, leaves=leaves) as store, about(name):
        reader = store.reader(store.head(name))
        if offset > reader.size:
            raise UsageError(f"it has {reader.size} bytes; an offset of {offset} is beyond its end")
        to_stdout(reader.read(offset, length))
    return 0

"""`meltemi store stats STORE`."""

from dataclasses import asdict
from typing import Any, Final

import click

from meltemi.chunks.stats import stats
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import working
from meltemi.model.units import format_size

_COLUMNS: Final = ("Images", "Data", "Distinct", "Stored", "Packs", "Blobs", "Sessions")


@click.command("stats")
@store_argument
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """Sum what a store holds, in bytes.

    Data is what all images amount to, Distinct what is left when every piece counts once, Stored
    what the packs take up. Sessions are puts and collections under way.
    """
    check_columns(_COLUMNS, options)
    with working(address, options) as store:
        done = stats(store)
    print_one({name.title(): value for name, value in asdict(done).items()}, _COLUMNS, options)
    click.echo(
        f"{done.images} images of {format_size(done.data)} take {format_size(done.stored)}",
        err=True,
    )
    return 0

"""`meltemi store init STORE`."""

from typing import Any

import click

from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import working

_COLUMNS = ("Store", "Index")


@click.command("init")
@store_argument
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """Make a store: in a folder that is new or empty, or in a bucket that exists."""
    check_columns(_COLUMNS, options)
    with working(address, options, create=True) as store:
        row = {"Store": store.backend.label, "Index": store.database.label}
    print_one(row, _COLUMNS, options)
    return 0

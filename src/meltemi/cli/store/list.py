"""`meltemi store list STORE`."""

from typing import Any, Final

import click

from meltemi.chunks.digests import KNOWN
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import facts, working
from meltemi.model.units import format_size

_SHOWN: Final = ("Name", "Bytes", "Size", "Created", "Cut", "Manifest")
_COLUMNS: Final = (*_SHOWN, *(name.upper() for name in KNOWN))


@click.command("list")
@store_argument
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """List the images of a store, by name.

    A table has hashes only where they are asked for: -c name -c md5.
    """
    check_columns(_COLUMNS, options)
    with working(address, options) as store:
        heads = store.heads.all()
    rows = [{**facts(head), "Size": format_size(head.size)} for head in heads]
    brief = options["format"] == "table" and not options["column"]
    print_rows(rows, _SHOWN if brief else _COLUMNS, options)
    return 0

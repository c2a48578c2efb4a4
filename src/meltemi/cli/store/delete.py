"""`meltemi store delete STORE NAME…`."""

from typing import Any, Final

import click

from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import complain, working
from meltemi.errors import ImageError

_COLUMNS: Final = ("Result", "Name", "Bytes", "Detail")


@click.command("delete")
@store_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@store_options
@output_options
def command(address: str, names: tuple[str, ...], **options: Any) -> int:
    """Take images away, at once and for good; `meltemi store gc` frees their space."""
    check_columns(_COLUMNS, options)
    rows = []
    failed = []
    with working(address, options, leaves="the images named first may be gone") as store:
        for name in dict.fromkeys(names):
            row = {"Result": "deleted", "Name": name, "Bytes": 0, "Detail": ""}
            try:
                row["Bytes"] = store.remove(name).size
            except ImageError as error:
                row |= {"Result": "failed", "Detail": str(error)}
                failed.append(str(error))
            rows.append(row)
    complain(failed)
    print_rows(rows, _COLUMNS, options)
    return ImageError.exit_code if failed else 0

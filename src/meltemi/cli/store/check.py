"""`meltemi store check STORE`."""

from typing import Any, Final

import click

from meltemi.chunks.checking import check
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import MENDING, verdict, working

_COLUMNS: Final = ("Problem",)


@click.command("check")
@store_argument
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """See that everything that an image needs is where the index says.

    Reads manifests and the tables of packs, no data: for that there is `meltemi store scrub`.
    Prints a row for each problem, which names the image; exit code 9 where there is one.
    """
    check_columns(_COLUMNS, options)
    with working(address, options) as store:
        done = check(store)
    print_rows([{"Problem": line} for line in done.problems], _COLUMNS, options)
    click.echo(
        f"checked: {done.images} images, {done.packs} packs, {done.references} references", err=True
    )
    return verdict(
        done.problems,
        "where the index is wrong, rebuild it (meltemi store reindex); "
        f"where images are named: {MENDING}",
    )

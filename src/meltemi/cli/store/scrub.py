"""`meltemi store scrub STORE`."""

from typing import Any, Final

import click

from meltemi.chunks.scrubbing import scrub
from meltemi.cli.options import option
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.cli.store.options import RATE, store_argument, store_options
from meltemi.cli.store.work import MENDING, verdict, working
from meltemi.cli.telling import telling

_COLUMNS: Final = ("Problem",)


@click.command("scrub")
@store_argument
@option(
    "--bwlimit",
    type=RATE,
    default="off",
    show_default=True,
    metavar="RATE",
    help="Read this many bytes a second at most, as 10M.",
)
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """Read every pack, and hold every piece of data in it against its hash.

    A scrub that was interrupted is gone on with. What is found to be damaged is remembered:
    what images need heals when the same data is put again, `meltemi store gc` removes or mends the
    rest. Prints a row for each problem; exit code 9 where there
    is one.
    """
    check_columns(_COLUMNS, options)
    leaves = "the next scrub goes on from here"
    with working(address, options, leaves=leaves) as store, telling("scrub") as tell:
        done = scrub(store, rate=options["bwlimit"], tell=tell)
        tell(done.bytes, done.bytes)
    print_rows([{"Problem": line} for line in done.problems], _COLUMNS, options)
    return verdict(done.problems, f"meltemi store check names the images; {MENDING}")

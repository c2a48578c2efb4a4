"""`meltemi store gc STORE`."""

from typing import Any, Final

import click

from meltemi.chunks.collector import collect
from meltemi.cli.options import option
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import complain, verdict, working
from meltemi.model.units import format_size

_COLUMNS: Final = ("Images", "Live", "Stored", "Dead", "Rewritten", "Freed", "Waiting")


@click.command("gc")
@store_argument
@option("--dry-run", is_flag=True, help="Only say what would be done.")
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """Delete what no image needs, while puts and gets may run.

    Packs without anything needed are deleted (Dead), those with little of it rewritten; what a put
    under way may rely on waits for the next time. Live, Stored and Freed are bytes, before the
    rewriting.
    """
    check_columns(_COLUMNS, options)
    dry = options["dry_run"]
    with working(address, options, leaves="the next gc goes on from here") as store:
        done = collect(store, dry_run=dry)
    row = {
        "Images": done.images,
        "Live": done.live,
        "Stored": done.stored,
        "Dead": done.dead_packs,
        "Rewritten": done.rewritten_packs,
        "Freed": done.freed,
        "Waiting": done.waiting,
    }
    print_one(row, _COLUMNS, options)
    click.echo(
        f"{format_size(done.stored)} are stored, {format_size(done.live)} of them needed; "
        f"{format_size(done.freed)} {'would be' if dry else 'were'} freed",
        err=True,
    )
    complain(done.damaged)
    return verdict(
        done.damaged,
        "damaged packs are left alone; meltemi store check names the images",
    )

"""`meltemi store reindex STORE`."""

from typing import Any, Final

import click

from meltemi.chunks.reconcile import reindex
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.store.options import store_argument, store_options
from meltemi.cli.store.work import complain, verdict, working

_COLUMNS: Final = ("Images", "Packs", "Blobs", "Dropped", "Damaged")


@click.command("reindex")
@store_argument
@store_options
@output_options
def command(address: str, **options: Any) -> int:
    """Make the index say what is stored: a new one, or one that is wrong or old.

    Puts and gets may run meanwhile. What the index knew and is not there any more is dropped, and
    said so; exit code 9 where something that is stored cannot be read.
    """
    check_columns(_COLUMNS, options)
    with working(address, options, rebuild=True, leaves="reindex again") as store:
        done = reindex(store)
    complain(
        [
            f"image {name}: the index knew it, it is not stored any more"
            for name in done.dropped_images
        ]
        + [
            f"pack {pack}: the index knew it, it is not stored any more"
            for pack in done.dropped_packs
        ]
        + done.damaged
    )
    row = {
        "Images": done.images,
        "Packs": done.packs,
        "Blobs": done.blobs,
        "Dropped": len(done.dropped_images) + len(done.dropped_packs),
        "Damaged": len(done.damaged),
    }
    print_one(row, _COLUMNS, options)
    return verdict(done.damaged, "meltemi store check names the images")

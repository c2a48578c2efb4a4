"""`meltemi store put STORE NAME [FILE]`."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

import click

from meltemi.chunks.cut import Cut
from meltemi.chunks.digests import KNOWN
from meltemi.chunks.store import HASHES, Store
from meltemi.chunks.writer import Put
from meltemi.cli.options import option
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.store.data import Source
from meltemi.cli.store.options import name_argument, store_argument, store_options
from meltemi.cli.store.work import about, facts, working
from meltemi.cli.telling import telling
from meltemi.errors import ConflictError, UsageError

_COLUMNS: Final = ("Name", "Bytes", "Stored", "Cut", "Manifest")
_NONE: Final = "none"
_CUTS: Final = {cut.label: cut for cut in Cut}


@click.command("put")
@store_argument
@name_argument
@click.argument("file", metavar="[FILE]", required=False)
@option(
    "--hash",
    type=click.Choice([*KNOWN, _NONE]),
    multiple=True,
    default=HASHES,
    show_default=True,
    help="Take this hash of the whole data too; repeatable. `none` takes none.",
)
@option(
    "--cut",
    type=click.Choice([*_CUTS]),
    default=Cut.CONTENT.label,
    show_default=True,
    help="How data is divided: by what is in it, or in blocks, for data that is written in place.",
)
@store_options
@output_options
def command(address: str, name: str, file: str | None, **options: Any) -> int:
    """Store the data of FILE, or of stdin (-), as the image NAME.

    Only what the store does not have yet is written, and nothing can be seen before all is there.
    """
    hashes = _hashes(options["hash"])
    columns = (*_COLUMNS, *(known.upper() for known in hashes))
    check_columns(columns, options)
    leaves = f"image {name} was not stored; put it again, what has come is not sent twice"
    with working(address, options, leaves=leaves) as store:
        if store.find(name) is not None:
            raise ConflictError(f"{store.backend.label}: there is an image {name} already")
        with closing(Source(file)) as source, about(name):
            done = _put(store, name, source, _CUTS[options["cut"]], hashes)
    print_one({**facts(done.head), "Stored": done.stored}, columns, options)
    return 0


def _hashes(wanted: Sequence[str]) -> list[str]:
    if _NONE in wanted and {*wanted} != {_NONE}:
        raise UsageError(f"--hash {_NONE} stands alone")
    return [name for name in KNOWN if name in wanted]


def _put(store: Store, name: str, source: Source, cut: Cut, hashes: Sequence[str]) -> Put:
    come = 0
    with telling(f"put {name}", source.size) as tell, store.writing(cut=cut, hashes=hashes) as to:
        for piece in source:
            to.write(piece)
            come += len(piece)
            tell(come, source.size)
        return to.finish(name)

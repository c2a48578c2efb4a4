"""`meltemi bundle make ARCHIVE FOLDER`."""

from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli import options as opt
from meltemi.cli.bundle.work import archive_argument, bundle_options, counting, opened, place_of
from meltemi.cli.output import check_columns, output_options, print_one, print_rows
from meltemi.cli.working import interruptible
from meltemi.errors import printable
from meltemi.libraries.archive.bundles import making
from meltemi.libraries.archive.bundles.state import State, read_state
from meltemi.model.units import parse_size

_COLUMNS: Final = ("Set", "Bundles", "Images", "Deleted", "Bytes")
_LEAST: Final = 2 * 2**20


def _parse_size(text: str) -> int:
    size = parse_size(text)
    if size < _LEAST:
        raise ValueError("a bundle has 2M bytes or more")
    return size


@click.command("make")
@archive_argument
@click.argument("folder", metavar="FOLDER", type=opt.FilePath())
@opt.option(
    "--size",
    type=opt.Parsed("size", _parse_size),
    default="4G",
    show_default=True,
    help="The most that one bundle has, 2M or more.",
)
@opt.option(
    "--since",
    type=opt.FilePath(dir_okay=False),
    metavar="STATE",
    help="Leave out what the other archive has; see `meltemi bundle state`.",
)
@opt.option(
    "--sign-key",
    type=opt.FilePath(dir_okay=False),
    metavar="FILE",
    help="Sign the set with this private key of Ed25519, in PEM.",
)
@bundle_options
@output_options
def command(archive: str, folder: Path, **options: Any) -> int:
    """Write what ARCHIVE has, and another archive lacks, into FOLDER as a set of bundles.

    Carry all files of the set to the other side and `apply` them there. The file that ends in
    .state tells what the other side has by then: keep it here, for the --since of the next set.
    """
    check_columns(_COLUMNS, options)
    place = place_of(archive)
    key = None
    if options["sign_key"] is not None:
        from meltemi.libraries.archive.bundles import signing  # noqa: PLC0415 - slow

        key = signing.read_private_key(options["sign_key"])
    since = State() if options["since"] is None else read_state(options["since"])
    with (
        interruptible(options, "no set was made"),
        opened(place, options) as contents,
        counting(f"make {printable(str(folder))}") as done,
    ):
        made = making.make(contents, folder, options["size"], since, key, done=done)
    if made is None:
        click.echo("nothing is lacking there: no set was made", err=True)
        if options["format"] != "table":
            print_rows([], _COLUMNS, options)
        return 0
    row = {
        "Set": str(made.path),
        "Bundles": made.bundles,
        "Images": made.images,
        "Deleted": made.deleted,
        "Bytes": made.size,
    }
    print_one(row, _COLUMNS, options)
    return 0

"""`meltemi bundle apply SET ARCHIVE`."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli import options as opt
from meltemi.cli.bundle.work import archive_argument, bundle_options, counting, place_of
from meltemi.cli.output import check_columns, output_options, print_one
from meltemi.cli.working import interruptible
from meltemi.libraries.archive.bundles import applying
from meltemi.libraries.archive.bundles.applying import Applied
from meltemi.libraries.archive.bundles.reading import open_set

_COLUMNS: Final = ("Images", "Deleted", "Stored")


@click.command("apply")
@click.argument("bundles", metavar="SET", type=opt.FilePath(dir_okay=False))
@archive_argument
@opt.option(
    "--verify-key",
    type=opt.FilePath(dir_okay=False),
    metavar="FILE",
    help="Refuse what the owner of this public key of Ed25519, in PEM, has not signed.",
)
@bundle_options
@output_options
def command(bundles: Path, archive: str, **options: Any) -> int:
    """Bring the set of bundles that the file SET binds together into ARCHIVE.

    All of it is held against its hashes first, and nothing counts before all is there. A set that
    was applied is not applied again. ARCHIVE is made where it is not there yet.
    """
    check_columns(_COLUMNS, options)
    place = place_of(archive)
    key = None
    if options["verify_key"] is not None:
        from meltemi.libraries.archive.bundles import signing  # noqa: PLC0415 - slow

        key = signing.read_public_key(options["verify_key"])
    leaves = "nothing of the set counts; apply it again"
    with interruptible(options, leaves), closing(open_set(bundles, key)) as found:
        to_read = 2 * sum(part.size for part in found.manifest.parts)
        with counting(f"apply {found.manifest.id}", to_read) as read:
            done = applying.apply(found, place, options["index"], read)
        if done is None:
            click.echo(f"set {found.manifest.id} has been applied already", err=True)
            done = Applied()
    row = {"Images": done.images, "Deleted": done.deleted, "Stored": done.stored}
    print_one(row, _COLUMNS, options)
    return 0

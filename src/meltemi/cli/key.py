"""`meltemi key`."""

from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli.options import FilePath
from meltemi.cli.output import check_columns, output_options, print_one

_COLUMNS: Final = ("Key", "File")


@click.group("key", epilog="Exit codes: 0 done, 2 usage, 74 no output.")
def command() -> None:
    """Make keys with which a region signs what it vouches for.

    The file holds the private key, for `signing_key` in that region's meltemi-region.yaml. The key
    that is printed is public: it goes into `trusted_regions` of those that trust it.
    """


@command.command("create")
@click.argument("file", type=FilePath())
@output_options
def create(file: Path, **options: Any) -> int:
    """Make a key in FILE, which must not be there yet, and print its public half."""
    from meltemi.keys import SigningKey  # noqa: PLC0415 - slow to import

    check_columns(_COLUMNS, options)
    _print(SigningKey.create(file).public, file, options)
    return 0


@command.command("show")
@click.argument("file", type=FilePath())
@output_options
def show(file: Path, **options: Any) -> int:
    """Print the public half of the key in FILE."""
    from meltemi.keys import SigningKey  # noqa: PLC0415 - slow to import

    check_columns(_COLUMNS, options)
    _print(SigningKey.read(file).public, file, options)
    return 0


def _print(public: str, file: Path, options: dict[str, Any]) -> None:
    print_one({"Key": public, "File": str(file)}, _COLUMNS, options)

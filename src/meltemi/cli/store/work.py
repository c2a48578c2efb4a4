"""What the store's commands do alike: opening, ending, telling which image went wrong."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from meltemi.chunks.digests import KNOWN
from meltemi.chunks.head import Head
from meltemi.chunks.opening import open_store
from meltemi.chunks.store import Store
from meltemi.cli.working import interruptible
from meltemi.errors import DamageError, MeltemiError, StoreError

MENDING: Final = (
    "to heal what they need, put the same data again; meltemi store gc removes or mends the rest"
)
"""What to do about damage, after the images have been spoken of."""


@contextmanager
def working(
    address: str,
    options: Mapping[str, Any],
    *,
    create: bool = False,
    rebuild: bool = False,
    leaves: str = "nothing was changed",
) -> Iterator[Store]:
    """Open a store for a command's work.

    Ctrl-C and SIGTERM end the work; `leaves` says what they leave. Refuse a new index unless it is
    to be rebuilt: it would say that the store is empty.
    """
    with interruptible(options, leaves):
        store = open_store(address, options["index"], create=create)
        try:
            if not (create or rebuild or store.is_indexed):
                raise StoreError(
                    f"{store.backend.label}: {store.database.label} is not its index, or not "
                    "wholly rebuilt: name the right one (--index), or rebuild it "
                    f"(meltemi store reindex {address})"
                )
            yield store
        finally:
            store.close()


@contextmanager
def about(name: str) -> Iterator[None]:
    """Let every error say which image it is about."""
    label = f"image {name}"
    try:
        yield
    except MeltemiError as error:
        if label in str(error):
            raise
        raise type(error)(f"{label}: {error}") from error


def facts(head: Head) -> dict[str, Any]:
    """Give the columns of an image."""
    return {
        "Name": head.name,
        "Bytes": head.size,
        "Created": head.created,
        "Cut": head.cut,
        "Manifest": head.manifest.hex(),
        **{name.upper(): head.hashes.get(name, "") for name in KNOWN},
    }


def complain(problems: Sequence[str]) -> None:
    """Tell problems, a line each."""
    for problem in problems:
        click.echo(f"meltemi: {MeltemiError(problem)}", err=True)


def verdict(problems: Sequence[str], advice: str) -> int:
    """Give the exit code of having looked for damage; say what to do where there is some."""
    if not problems:
        return 0
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    complain([f"{count}; {advice}"])
    return DamageError.exit_code

"""From where an archive is, or shall be, to the kind that is there."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from meltemi.errors import UsageError
from meltemi.libraries.archive.absent import AbsentArchive, is_absent
from meltemi.libraries.archive.files import shown
from meltemi.libraries.archive.layout import MANIFEST
from meltemi.libraries.archive.opening import open_archive
from meltemi.libraries.archive.unmade import UnmadeArchive, check_place
from meltemi.libraries.base import Library


def open_any(
    place: Path | str,
    *,
    name: str,
    writable: bool,
    may_be_absent: bool,
    dedup: bool = False,
    index: str | None = None,
) -> Library:
    """Open the archive in a folder, or in a bucket that a URL names; see `open_library`.

    Where there is none yet, the one that shall be written is plain, unless it is to be `dedup`.
    """
    if isinstance(place, Path):
        # Links in the path are the user's; whoever opens it learns what else is wrong with it.
        dedup_is_there = _holds_store(place)
        if dedup and not dedup_is_there and (place / MANIFEST).exists():
            raise UsageError(
                f"{shown(place)} is a plain archive and stays one; name another folder for one "
                "that stores every piece of data once"
            )
        if not (dedup or dedup_is_there):
            make = partial(open_archive, place, name=name, writable=True)
            absent = (writable or may_be_absent) and is_absent(place)
            if absent:
                return _unmade(place, name, make if writable else None)
            return open_archive(place, name=name, writable=writable)
    from meltemi.libraries.archive.dedup import opening  # noqa: PLC0415 - slow, seldom needed

    opening.check_index(place, index if writable else "")
    open_dedup = partial(opening.open_dedup, place, index, name=name)
    if (writable or may_be_absent) and opening.can_begin(place):
        if isinstance(place, str) and not dedup:
            raise UsageError(f"{place}: there is no archive; dump --dedup makes one")
        return _unmade(place, name, partial(open_dedup, writable=True) if writable else None)
    return open_dedup(writable=writable)


def _holds_store(path: Path) -> bool:
    from meltemi.chunks.backends.base import FACTS  # noqa: PLC0415 - only where it is needed

    try:
        return (path / FACTS).exists() and not (path / MANIFEST).exists()
    except OSError:
        return False


def _unmade(place: Path | str, name: str, make: Callable[[], Library] | None) -> Library:
    if make is None:
        return AbsentArchive(name, place)
    if isinstance(place, Path):
        check_place(place)
    return UnmadeArchive(name, place, make)

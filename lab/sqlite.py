"""Databases in a file, for a quick demonstration with a single writer."""

import shutil
from collections.abc import Callable
from pathlib import Path

from lab.state import folder, lock


def create_database(path: Path, *, schema: str, build: Callable[[str], None]) -> str:
    """Make a database file unless it exists, and return its URL.

    `build` makes the schema in the database whose URL it is given; it runs
    once on this machine, and its result is copied afterwards.
    """
    if not path.exists():
        with lock(f"sqlite-{schema}"):
            made = folder("schemas") / f"{schema}.sqlite"
            if not made.exists():
                draft = made.with_suffix(".partial")
                draft.unlink(missing_ok=True)
                build(f"sqlite:///{draft}")
                draft.rename(made)
        shutil.copy(made, path)
    return f"sqlite:///{path}"

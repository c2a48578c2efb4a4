"""Processes that are forked from one that has everything imported and no threads.

They start at once, and are otherwise processes like all others: killed, stopped, waited for.
"""

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

FORKING: Final = multiprocessing.get_context("forkserver")
_COMMANDS: Final = (
    *("adopt", "apply", "bundle", "compare", "credential", "db", "dump", "image", "livecopy"),
    *("load", "pause", "plan", "resume", "retry", "runs", "size", "status", "store", "sync"),
    *("usage", "wait"),
)
# One list for all: a session has one such process, which imports what was named last.
FORKING.set_forkserver_preload(
    [
        *("tests.catalogue.contending", "tests.chunks.faults.worker", "tests.libraries.carrying"),
        *("tests.support.forking", "meltemi.cli.main"),
        *(f"meltemi.cli.{name}" for name in _COMMANDS),
        # What those import only where it is needed.
        *("meltemi.config.load", "meltemi.libraries.archive.dedup.opening", "pyfastcdc"),
        *("meltemi.chunks.backends.objects", "meltemi.libraries.glance.auth", "openstack.config"),
        *("keystoneauth1.session", "keystoneauth1.loading", "rich.console", "rich.table", "cel"),
    ]
)


def become(
    words: Sequence[str], variables: Mapping[str, str], folder: str, out: Path, err: Path
) -> None:
    """Be a run of `meltemi` in a folder, with these variables alone and its streams in files."""
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(folder)
    for path, number in ((out, 1), (err, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    # It looks where it is and whose home that is when it is imported.
    importlib.reload(sys.modules["openstack.config.loader"])
    sys.modules["meltemi.cli.main"].main(list(words))

"""One writer, or any number of readers, at a time."""

import fcntl
import os

from meltemi.errors import BusyError
from meltemi.libraries.archive.files import Folder, failing, shown
from meltemi.libraries.archive.layout import LOCK


def lock(folder: Folder, *, exclusive: bool) -> int:
    """Lock an archive until the descriptor that is given back is closed, or its process ends.

    Raise `BusyError` where another holds it. Reading needs no lock where no writer ever was (an
    archive copied without its lock file, say, on a medium that cannot be written): -1 then.
    """
    flags = os.O_RDWR | os.O_CREAT if exclusive else os.O_RDONLY
    if not exclusive and not folder.has(LOCK):
        return -1
    fd = folder.open_file(LOCK, flags)
    with failing(folder.path / LOCK):
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise BusyError(
                f"{shown(folder.path)} is in use by another process (a dump, a load, a daemon), "
                f"which holds {shown(folder.path / LOCK)}; wait for its end"
            ) from None
        except OSError:
            os.close(fd)
            raise
    return fd

"""One writer at a time: by a lock on a folder, or by a lease in the index of a bucket."""

import os
from typing import Final, Protocol

from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.session import Session, lease
from meltemi.libraries.archive.files import Folder
from meltemi.libraries.archive.lock import lock

_LEASE: Final = "archive"


class Hold(Protocol):
    """The right to write an archive."""

    def check(self) -> None:
        """Raise SessionLostError where it is known to be lost."""
        ...

    def close(self) -> None:
        """Give it back; a second time does nothing."""
        ...


class FolderHold:
    """A lock, which the kernel takes from a process that dies; BusyError where another has it."""

    def __init__(self, folder: Folder) -> None:
        self._lock = lock(folder, exclusive=True)

    def check(self) -> None:
        """Nobody takes it away."""

    def close(self) -> None:
        """Let go of it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class BucketHold:
    """A lease for as long as a heart beats; BusyError where another has it."""

    def __init__(self, sessions: Sessions) -> None:
        self._session: Session | None = Session(sessions)
        try:
            lease(sessions, self._session.number, _LEASE)
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Raise SessionLostError where it was taken for dead."""
        if self._session is not None:
            self._session.check()

    def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

"""A clock that a test sets, for one process: Debian's libfaketime."""

from pathlib import Path

from lab.debian import install
from lab.errors import Unavailable

_PLACES = ("usr/lib/*/faketime/libfaketime.so.1", "usr/lib/faketime/libfaketime.so.1")


class Clock:
    """A clock that runs as the machine's does, so many seconds before or after it.

    `environment` gives it to a process: the time of day only, not the time since the start of the
    machine, as where somebody sets the clock.
    """

    def __init__(self, folder: Path) -> None:
        """Install libfaketime where it is missing; the clock is right."""
        self._file = folder / "clock"
        self.environment = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, seconds: int) -> None:
        """Let it be wrong by so many seconds from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)


def _library() -> Path:
    if not (found := _find()):
        install("libfaketime")
        found = _find()
    if not found:
        raise Unavailable("libfaketime: not in the Debian package libfaketime")
    return found[0]


def _find() -> list[Path]:
    return [path for place in _PLACES for path in Path("/").glob(place)]

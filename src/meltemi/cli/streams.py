"""Stdout and stderr that may be full or closed, or unable to show every character."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from errno import EBADF
from pathlib import Path
from typing import Any, TextIO, cast

from meltemi.errors import ClosedOutputError, OutputError


class Stdout:
    """Stdout, or its bytes, of which an error is told apart from all other errors of a system."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        return Stdout(found) if name == "buffer" else found

    def write(self, text: str | bytes) -> int:
        """Write; raise OutputError, or ClosedOutputError where nobody reads any more."""
        with self._failing():
            count: int = self._stream.write(text)
        return count

    def flush(self) -> None:
        """Send on what is held back; raise as `write` does."""
        with self._failing():
            self._stream.flush()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _abandon(self._stream)
            if isinstance(error, BrokenPipeError):
                raise ClosedOutputError("nobody reads stdout any more") from error
            raise OutputError(f"cannot write to stdout: {error.strerror}") from error


class Stderr:
    """Stderr, which falls silent where it fails: to say how work goes must not end the work."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            self._stream.write(text)
        except OSError:
            _abandon(self._stream)
        return len(text)

    def flush(self) -> None:
        """Send on what can be sent."""
        try:
            self._stream.flush()
        except OSError:
            _abandon(self._stream)


@contextmanager
def guarded() -> Iterator[None]:
    """Use such streams. Where stdout cannot show a character, a question mark stands for it."""
    for stream in (sys.stdout, sys.stderr):
        # A test's stand-in cannot be set so; one that escapes what it cannot show shall go on.
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    out = cast("TextIO", Stdout(sys.stdout or _Closed()))
    err = cast("TextIO", Stderr(sys.stderr or _Closed()))
    with redirect_stdout(out), redirect_stderr(err):
        yield


def _abandon(stream: Any) -> None:
    """Let what a stream did not take go nowhere: Python would try again, and complain, at exit."""
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


class _Closed:
    """What stands for a stream that the program was started without."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError(EBADF, os.strerror(EBADF))

    def write(self, _: str) -> int:
        raise OSError(EBADF, os.strerror(EBADF))

    def flush(self) -> None:
        """Do nothing: nothing was written."""

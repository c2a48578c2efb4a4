"""Objects in a bucket of an object store, through obstore."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from meltemi.chunks.blob import Buffer
from meltemi.errors import (
    AuthenticationError,
    MeltemiError,
    MissingError,
    QuotaError,
    SilentError,
    StoreError,
    UnreachableError,
    UntrustedError,
    UsageError,
)

if TYPE_CHECKING:  # these exist for the type checker only
    from obstore.store import ClientConfig, RetryConfig

# A store that is down is told of within half a minute: a request may be sent again for so long
# after the first one, and an answer may be silent for so long.
_RETRIED: Final = timedelta(seconds=15)
_SILENT: Final = timedelta(seconds=12)
_RETRIES: Final = 50
_LONGEST_PAUSE: Final = timedelta(seconds=3)
_REQUEST: Final = timedelta(seconds=60)

# Silence is also what a client sees while it sends: what is large is given more time instead.
_LARGE: Final = 2**20
_LARGE_WRITE: Final = timedelta(seconds=120)

_STATUS: Final = re.compile(r"status code: (\d+)([\w ]*)")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_FAILURE: Final = re.compile(r"HttpError {\s+kind: (\w+)")
_DETAIL: Final = re.compile(r'(?:message|error): "([^"]+)"')
_ORIGIN: Final = re.compile(r"https?://[^/\s]+")

_FULL: Final = {"InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull"}
_BEHIND_ITS_END: Final = re.compile(r"status code: 416|StartTooLarge")
_CREDENTIALS_SERVICE: Final = "/latest/api/token"
"""What is asked for credentials where none are given, on machines of a cloud."""


class ObjectBackend:
    """Keeps objects below a prefix of a bucket; keeps the protocol of `Backend`.

    Settings and credentials come from the environment, as the store's own tools read them
    (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        if url.startswith("file:"):
            raise UsageError(f"{url}: give the path of a folder without file://")
        try:
            self._store = _connect(url, {"timeout": _REQUEST, "read_timeout": _SILENT})
            self._patient = _connect(url, {"timeout": _LARGE_WRITE})
        except (BaseError, ValueError) as error:
            raise UsageError(f"{url}: {_first_line(error)}") from error
        if url.startswith("memory:"):  # for tests: each would be a store of its own
            self._patient = self._store

    @property
    def label(self) -> str:
        """Name the backend for people."""
        return self._url

    def write(self, name: str, data: Buffer) -> None:
        """Put an object as a whole."""
        store = self._store if len(data) < _LARGE else self._patient
        doing = f"writing {name}"
        with self._telling(doing):
            try:
                # One request: no parts can stay behind. A second one after a lost answer brings
                # the same bytes, so that "already there" would only confuse.
                obstore.put(store, name, data, use_multipart=False)
            except FileNotFoundError as error:
                raise self._no_bucket(doing) from error

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Get a range of an object."""
        if not length:
            return b""
        with self._telling(f"reading {name}"):
            try:
                return bytes(obstore.get_range(self._store, name, start=offset, length=length))
            except BaseError as error:
                if _BEHIND_ITS_END.search(str(error)):
                    return b""
                raise

    def size(self, name: str) -> int | None:
        """Ask for an object's length."""
        with self._telling(f"looking for {name}"):
            try:
                return obstore.head(self._store, name)["size"]
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """List the objects below a prefix."""
        last: str | None = None
        patience = _Patience()
        with self._telling(f"listing {folder}"):
            while True:
                try:
                    for page in obstore.list(self._store, folder + "/", offset=last):
                        for meta in page:
                            last = meta["path"]
                            yield last, meta["size"]
                        patience = _Patience()
                    break
                except BaseError as error:
                    if not patience.allows(error):
                        raise

    def delete(self, name: str) -> None:
        """Delete an object."""
        patience = _Patience()
        with self._telling(f"deleting {name}"):
            while True:
                try:
                    return obstore.delete(self._store, name)
                except FileNotFoundError:
                    return None
                except BaseError as error:
                    if not patience.allows(error):
                        raise

    def tidy(self) -> int:
        """Find nothing: an object is written as a whole or not at all."""
        return 0

    def close(self) -> None:
        """Hold nothing."""

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise MissingError(f"{self.label}: {doing}: it is not there") from error
        except BaseError as error:
            raise self._told(doing, error) from error

    def _told(self, doing: str, error: BaseError) -> MeltemiError:
        """Say in one line what obstore's error, of which only the text tells more, means."""
        text, line = str(error), _first_line(error)
        where = f"{self.label}: {doing}"
        if _CREDENTIALS_SERVICE in line:
            return AuthenticationError(
                f"{where}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if status := _STATUS.search(line):
            code = found[1] if (found := _CODE.search(line)) else ""
            return self._refused(doing, int(status[1]), status[2].strip(), code)
        if failure := _FAILURE.search(text):
            origin = found[0] if (found := _ORIGIN.search(line)) else "the store"
            return _broken(where, origin, failure[1], text)
        return StoreError(f"{where}: {line}")

    def _refused(self, doing: str, status: int, reason: str, code: str) -> MeltemiError:
        if code == "NoSuchBucket":
            return self._no_bucket(doing)
        answer = f"{self.label}: {doing}: it answers {status} {code or reason}"
        kind: type[MeltemiError] = StoreError
        if status == 507 or code in _FULL:  # noqa: PLR2004 - Insufficient Storage
            kind = QuotaError
        elif status in (401, 403):
            kind = AuthenticationError
        return kind(answer)

    def _no_bucket(self, doing: str) -> StoreError:
        return StoreError(f"{self.label}: {doing}: there is no such bucket")


class _Patience:
    """For requests that obstore does not send again when the answer breaks off."""

    def __init__(self) -> None:
        self._end = time.monotonic() + _RETRIED.total_seconds()
        self._pause = 0.1

    def allows(self, error: BaseError) -> bool:
        """Say, after a pause, whether the same is to be tried once more."""
        failure = _FAILURE.search(str(error))
        if failure is None or failure[1] == "Connect" or time.monotonic() > self._end:
            return False
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE.total_seconds())
        return True


def _broken(where: str, origin: str, kind: str, text: str) -> MeltemiError:
    detail = f": {details[-1]}" if (details := _DETAIL.findall(text)) else ""
    if kind == "Timeout":
        return SilentError(f"{where}: {origin} does not answer in time")
    if "InvalidCertificate" in text:
        return UntrustedError(f"{where}: the certificate of {origin} is not accepted")
    if kind == "Connect":
        return UnreachableError(f"{where}: nothing answers at {origin}{detail}")
    return UnreachableError(f"{where}: the connection to {origin} broke{detail}")


def _connect(url: str, timeouts: "ClientConfig") -> ObjectStore:
    options: ClientConfig = {"connect_timeout": "5s", "allow_http": True, **timeouts}
    retries: RetryConfig = {
        "max_retries": _RETRIES,
        "retry_timeout": _RETRIED,
        "backoff": {"max_backoff": _LONGEST_PAUSE},
    }
    config: dict[str, Any] = {}
    if url.startswith(("s3:", "s3a:")):
        # Deleting in bulk is not retried, and not every store can do it.
        config["disable_bulk_delete"] = True
    return from_url(url, client_options=options, retry_config=retries, **config)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]

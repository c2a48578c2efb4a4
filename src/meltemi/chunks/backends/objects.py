"""Objects in a bucket of an object store, through obstore."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore, from_url

from meltemi.chunks.blob import Buffer
from meltemi.errors import AuthenticationError, MissingError, StoreError, UsageError

if TYPE_CHECKING:  # these exist for the type checker only
    from obstore.store import ClientConfig, RetryConfig


class ObjectBackend:
    """Keeps objects below a prefix of a bucket; keeps the protocol of `Backend`.

    Settings and credentials come from the environment, as the store's own tools read them
    (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        options: ClientConfig = {
            "timeout": "60s",
            "connect_timeout": "10s",
            "allow_http": True,
        }
        retries: RetryConfig = {"max_retries": 6, "retry_timeout": timedelta(minutes=3)}
        try:
            self._store: ObjectStore = from_url(url, client_options=options, retry_config=retries)
        except (BaseError, ValueError) as error:
            raise UsageError(f"{url}: {_first_line(error)}") from error

    @property
    def label(self) -> str:
        """Name the backend for people."""
        return self._url

    def write(self, name: str, data: Buffer) -> None:
        """Put an object as a whole."""
        with self._telling(f"writing {name}"):
            # One request: no parts can stay behind. A second one after a lost answer brings the
            # same bytes, so that "already there" would only confuse.
            obstore.put(self._store, name, data, use_multipart=False)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Get a range of an object."""
        if not length:
            return b""
        with self._telling(f"reading {name}"):
            return bytes(obstore.get_range(self._store, name, start=offset, length=length))

    def size(self, name: str) -> int | None:
        """Ask for an object's length."""
        with self._telling(f"looking for {name}"):
            try:
                return obstore.head(self._store, name)["size"]
            except (FileNotFoundError, NotFoundError):
                return None

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """List the objects below a prefix."""
        with self._telling(f"listing {folder}"):
            for page in obstore.list(self._store, folder + "/"):
                for meta in page:
                    yield meta["path"], meta["size"]

    def delete(self, name: str) -> None:
        """Delete an object."""
        with self._telling(f"deleting {name}"):
            try:
                obstore.delete(self._store, name)
            except (FileNotFoundError, NotFoundError):
                return

    def tidy(self) -> int:
        """Find nothing: an object is written as a whole or not at all."""
        return 0

    def close(self) -> None:
        """Hold nothing."""

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotFoundError) as error:
            raise MissingError(f"{self.label}: {doing}: it is not there") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise AuthenticationError(f"{self.label}: {doing}: {_first_line(error)}") from error
        except BaseError as error:
            raise StoreError(f"{self.label}: {doing}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]

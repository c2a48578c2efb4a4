"""An upload that a test sends piece by piece."""

import http.client
from types import TracebackType
from typing import Final, Self

from tests.support.glance import Place

BINARY: Final = "application/octet-stream"


class Upload:
    """One image's data on its way, or what is staged; given up at the end of a `with` block.

    `media_type` says what it is where it is not plain data.
    """

    def __init__(
        self,
        place: Place,
        image: str,
        length: int,
        *,
        to: str = "file",
        media_type: str = BINARY,
        **headers: str,
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=300)
        self._connection.putrequest("PUT", f"/v2/images/{image}/{to}")
        for name, value in {**place.headers, **headers}.items():
            self._connection.putheader(name, value)
        self._connection.putheader("Content-Type", media_type)
        self._connection.putheader("Content-Length", str(length))
        self._connection.endheaders()

    def send(self, data: bytes) -> None:
        """Send the next bytes."""
        self._connection.send(data)

    def status(self) -> int | None:
        """Give the status of the answer; None where the connection broke instead."""
        try:
            return self._connection.getresponse().status
        except (ConnectionError, http.client.RemoteDisconnected):
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

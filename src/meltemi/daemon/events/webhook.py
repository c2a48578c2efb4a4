"""A webhook: whoever shares a secret with the daemon tells it, in signed requests, what changed.

    POST /v1/webhook
    Meltemi-Timestamp: seconds since 1970
    Meltemi-Signature: the HMAC-SHA256 of the timestamp, a dot, and the body, in hexadecimal digits

    {"library": "athens", "images": ["id", …]}

Without `images`, everything in that library is looked at. What is not signed so, or more than
`WINDOW` seconds ago or ahead, or has come before, is answered 401.
"""

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from meltemi.config.load import Configuration
from meltemi.config.schema import WebhookEntry
from meltemi.daemon.events.intake import Intake
from meltemi.daemon.events.telling import Event, is_image_id
from meltemi.daemon.state.inbox import Signed
from meltemi.errors import (
    ConfigurationError,
    QuotaError,
    UnauthorizedError,
    UnavailableError,
    UsageError,
)

PATH: Final = "/v1/webhook"
WINDOW: Final = 300
"""Seconds for which a signature counts, either way: clocks may differ, and senders try again."""

LARGEST: Final = 2**16
"""Bytes of a body."""

_SHORTEST: Final = 16
"""Bytes of a secret."""

_CHALLENGE: Final = "Meltemi-Signature"


def read_secret(where: WebhookEntry, environment: Mapping[str, str] = os.environ) -> bytes:
    """Read the secret, without the white space around it; raise ConfigurationError if it is none.

    It is read for every request, so that it can be changed at any time.
    """
    if where.secret_file is not None:
        name = str(where.secret_file)
        try:
            secret = where.secret_file.read_bytes().strip()
        except OSError as error:
            raise ConfigurationError(f"the webhook's secret: {name}: {error.strerror}") from error
    else:
        name = f"${where.secret_env}"
        secret = environment.get(str(where.secret_env), "").encode().strip()
    if len(secret) < _SHORTEST:
        raise ConfigurationError(
            f"the webhook's secret: {name} holds fewer than {_SHORTEST} bytes; "
            "openssl rand -hex 32 makes one"
        )
    return secret


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Give the signature of a body that is sent at a time."""
    return hmac.new(secret, _bytes(timestamp) + b"." + body, hashlib.sha256).hexdigest()


def _bytes(header: str) -> bytes:
    """Give a header's bytes as they came, which need not be text."""
    return header.encode(errors="surrogateescape")


class Webhook:
    """Takes in what is sent to it."""

    def __init__(self, configuration: Callable[[], Configuration], intake: Intake) -> None:
        self._configuration = configuration
        self._intake = intake

    async def answer(self, request: web.Request) -> web.Response:
        """Answer 202 once what a request tells is kept; raise what its sender did wrong."""
        settings = self._configuration().daemon.webhook
        if settings is None:
            raise web.HTTPNotFound
        body = await _body(request)
        try:
            secret = read_secret(settings)
        except ConfigurationError as error:
            raise UnavailableError(str(error), told="the webhook has no secret") from error
        signed = _checked(request.headers, body, secret, time.time())
        if not await self._intake.take(self._events(body), signed):
            raise UnauthorizedError("that has come before", challenge=_CHALLENGE)
        return web.Response(status=202)

    def _events(self, body: bytes) -> list[Event]:
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            raise UsageError("the body is no JSON") from None
        if not isinstance(told, dict) or not told.keys() <= {"library", "images"}:
            raise UsageError("the body has to be an object of library and images")
        library, images = told.get("library"), told.get("images")
        if not isinstance(library, str) or library not in self._configuration().libraries:
            raise UsageError("library has to name one of meltemi.yaml")
        if images is None:
            return [Event(library)]
        if not isinstance(images, list) or not all(map(is_image_id, images)):
            raise UsageError("images has to be a list of ids")
        return [Event(library, image, gone=True) for image in images]


async def _body(request: web.Request) -> bytes:
    """Read a body that is not too long."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LARGEST:
            raise QuotaError(f"a body has at most {LARGEST} bytes")
    return bytes(body)


def _checked(headers: Mapping[str, str], body: bytes, secret: bytes, now: float) -> Signed:
    """Give what makes a request count once; raise UnauthorizedError where it does not count.

    Nothing else of a request is looked at before.
    """
    timestamp = headers.get("Meltemi-Timestamp", "")
    expected = sign(secret, timestamp, body)
    given = headers.get("Meltemi-Signature", "")
    # Of bytes, since text that is not ASCII cannot be compared.
    if not hmac.compare_digest(_bytes(given.lower()), expected.encode()):
        raise UnauthorizedError("it is not signed by our secret", challenge=_CHALLENGE)
    if not timestamp.isascii() or not timestamp.isdigit():
        raise UnauthorizedError("its timestamp is no whole number", challenge=_CHALLENGE)
    at = min(float(timestamp), 2.0**53)
    if abs(now - at) > WINDOW:
        raise UnauthorizedError(
            f"it was signed more than {WINDOW} seconds ago, or ahead", challenge=_CHALLENGE
        )
    return Signed(expected, at, now - WINDOW)

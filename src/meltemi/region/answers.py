"""What a request becomes: JSON, or an error worded as clients of Glance know it.

Glance leaves the form of its errors to WebOb, which writes HTML, JSON or plain text as the client
accepts it; clients read the explanation out of any of them.
"""

import html
import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from meltemi.errors import (
    MediaTypeError,
    MeltemiError,
    RangeError,
    UnauthorizedError,
    UnavailableError,
)

_log: Final = logging.getLogger(__name__)

_TITLES: Final = {
    300: "Multiple Choices",
    413: "Request Entity Too Large",
    416: "Request Range Not Satisfiable",
}
"""Where WebOb has words other than Python's standard library."""

_USUAL: Final = {
    400: "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect.",
    401: "This server could not verify that you are authorized to access the document you "
    "requested. Either you supplied the wrong credentials (e.g., bad password), or your browser "
    "does not understand how to supply the credentials required.",
    403: "Access was denied to this resource.",
    405: "The method {method} is not allowed for this resource. ",
    404: "The resource could not be found.",
    409: "There was a conflict when trying to complete your request.",
    410: "This resource is no longer available.  No forwarding address is given.",
    413: "The body of your request was too large for this server.",
    416: "The Range requested is not available.",
    500: "The server has either erred or is incapable of performing the requested operation.",
    503: "The server is currently unavailable. Please try again at a later time.",
}
"""What an answer says where nothing better is known."""

_USUAL_BODY: Final = "{text}<br /><br />\n{detail}\n\n"
_SHORT_BODY: Final = "{text}<br /><br />\n{detail}"
_SHORT: Final = frozenset({405, 415})
"""Statuses whose body WebOb writes in the short form."""

_HTML: Final = """<html>
 <head>
  <title>{status}</title>
 </head>
 <body>
  <h1>{status}</h1>
  {body}
 </body>
</html>"""


def document(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with JSON."""
    data = json.dumps(body, ensure_ascii=False).encode()
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")


def refusal(
    request: web.Request,
    status: int,
    explanation: str = "",
    *,
    detail: str | None = "",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Answer with an error in the form that the client accepts.

    Without any `detail`, not even an empty one, the explanation stands alone.
    """
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    text = explanation or _USUAL.get(status, title).format(method=request.method)
    template = _SHORT_BODY if status in _SHORT else _USUAL_BODY
    if detail is None:
        template, detail = "{text}", ""
    form = _form(request.headers.get("Accept", ""))
    line = f"{status} {title}"
    if form == "application/json":
        message = template.format(text=text, detail=detail)
        return document({"message": message, "code": line, "title": title}, status, headers)
    if form == "text/html":
        escaped = template.format(text=html.escape(text), detail=html.escape(detail))
        body = _HTML.format(status=line, body=escaped)
    else:
        body = f"{line}\n\n{_stripped(template.format(text=text, detail=detail))}"
    return web.Response(
        status=status,
        body=body.encode(),
        headers={**(headers or {}), "Content-Type": f"{form}; charset=UTF-8"},
    )


def _stripped(text: str) -> str:
    """Make plain text of HTML, as WebOb does."""
    return re.sub("<[^>]*>", "", re.sub("<br[^>]*>", "\n", text.replace("\n", " ")))


def of_error(request: web.Request, error: MeltemiError) -> web.Response:
    """Answer with what an error says; a failure of our own stays in the log."""
    status = error.http_status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.path, error)
        again = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        told = error.told if isinstance(error, UnavailableError) else ""
        return refusal(request, status, told, headers=again)
    if isinstance(error, UnauthorizedError):
        return refusal(request, status, headers={"WWW-Authenticate": error.challenge})
    text = " ".join(str(part) for part in error.args).replace("\n", " ")
    if isinstance(error, MediaTypeError):
        kind = request.headers.get("Content-Type", "")
        usual = f"The request media type {kind} is not supported by this server. "
        return refusal(request, status, usual, detail=text, headers=error.headers)
    if isinstance(error, RangeError):
        return refusal(request, status, detail=text)
    return refusal(request, status, text)


def _form(accept: str) -> str:
    """Choose among what WebOb offers, in its order of preference."""
    offers = ("text/html", "application/json")
    best, chosen = 0.0, "text/plain"
    for offer in offers:
        quality = max((_quality(part, offer) for part in accept.split(",")), default=0.0)
        if quality > best:
            best, chosen = quality, offer
    return chosen


def _quality(part: str, offer: str) -> float:
    pattern, *parameters = (word.strip() for word in part.split(";"))
    kind = offer.split("/", maxsplit=1)[0]
    if pattern not in (offer, f"{kind}/*", "*/*"):
        return 0.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0

"""What an error becomes: an answer worded as clients of Glance know it.

Glance leaves the form of its errors to WebOb, which writes HTML, JSON or plain text as the client
accepts it; clients read the explanation out of any of them.
"""

import html
import json
import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web

from meltemi.errors import MeltemiError

_log: Final = logging.getLogger(__name__)

_TITLES: Final = {413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable"}
"""Where WebOb and Python's standard library have other words."""

_USUAL: Final = {
    400: "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    405: "The method {method} is not allowed for this resource. ",
    500: "The server has either erred or is incapable of performing the requested operation.",
}
"""What an answer says where nothing better is known."""

_HTML: Final = """<html>
 <head>
  <title>{status}</title>
 </head>
 <body>
  <h1>{status}</h1>
  {body}
 </body>
</html>"""


def refusal(
    request: web.Request,
    status: int,
    explanation: str = "",
    *,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Answer with an error in the form that the client accepts."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    usual = _USUAL.get(status, title).format(method=request.method)
    text = explanation or usual
    form = _form(request.headers.get("Accept", ""))
    if form == "text/html":
        escaped = html.escape(text).replace("&#x27;", "&#x27;")
        body = _HTML.format(status=f"{status} {title}", body=f"{escaped}<br /><br />\n\n\n")
    elif form == "application/json":
        message = f"{text}<br /><br />\n\n\n"
        body = json.dumps({"message": message, "code": f"{status} {title}", "title": title})
    else:
        body = f"{status} {title}\n\n{text}\n\n\n"
    return web.Response(
        status=status, text=body, content_type=form, charset="utf-8", headers=headers
    )


def of_error(request: web.Request, error: MeltemiError) -> web.Response:
    """Answer with what an error says; a failure of our own stays in the log."""
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.path, error)
        return refusal(request, error.http_status, headers=_retry(error.http_status))
    return refusal(request, error.http_status, str(error))


def _retry(status: int) -> dict[str, str] | None:
    return {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None


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

"""Which versions of the API are spoken here."""

from typing import Final

from aiohttp import web

from meltemi.region.answers import document
from meltemi.region.service import Service

_CURRENT: Final = "2.17"
_BEFORE: Final = ("2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8")
_AFTER: Final = ("2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
"""Versions in the order in which Glance tells them; 2.14, 2.16 and 2.18 are of its cache."""
MINOR_VERSIONS: Final = frozenset(f"v{one}" for one in (_CURRENT, *_BEFORE, *_AFTER))
"""What may stand in a path instead of `v2`."""


def versions(service: Service, request: web.Request, status: int = 200) -> web.Response:
    """Give the versions document; with 300, for those who asked for a version not spoken."""
    base = service.settings.public_endpoint or str(request.url.origin())
    links = [{"rel": "self", "href": f"{base.rstrip('/')}/v2/"}]
    known = [
        *((version, "SUPPORTED") for version in _BEFORE),
        (_CURRENT, "CURRENT"),
        *((version, "SUPPORTED") for version in _AFTER),
    ]
    found = [{"id": f"v{one}", "status": state, "links": links} for one, state in known]
    return document({"versions": found}, status)

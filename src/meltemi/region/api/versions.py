"""Which versions of the API are spoken here."""

from typing import Final

from aiohttp import web

from meltemi.region.answers import document
from meltemi.region.service import Service
from meltemi.region.settings import Settings

_STORES: Final = ("2.13", "2.12", "2.11", "2.10", "2.9", "2.8")
_ALL: Final = ("2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
_WITH_CACHE: Final = ("2.18", "2.17", "2.16", "2.15", "2.14", *_STORES, *_ALL)
_WITHOUT_CACHE: Final = ("2.15", *_STORES, "2.17", *_ALL)
"""Versions in the order in which Glance tells them."""


def may_stand_for_v2(settings: Settings, name: str) -> bool:
    """Say whether the first part of a path may be this instead of `v2`."""
    return name.startswith("v") and name[1:] in _known(settings)


def versions(service: Service, request: web.Request, status: int = 200) -> web.Response:
    """Give the versions document; with 300, for those who asked for a version not spoken."""
    base = service.settings.public_endpoint or str(request.url.origin())
    links = [{"rel": "self", "href": f"{base.rstrip('/')}/v2/"}]
    known = _known(service.settings)
    current = "2.18" if "2.18" in known else "2.17"
    found = [
        {
            "id": f"v{one}",
            "status": "CURRENT" if one == current else "SUPPORTED",
            "links": links,
        }
        for one in known
    ]
    return document({"versions": found}, status)


def _known(settings: Settings) -> tuple[str, ...]:
    return _WITH_CACHE if settings.hot_images else _WITHOUT_CACHE

"""Which versions of the API are spoken here."""

from typing import Any, Final

from aiohttp import web

from meltemi.region.service import Service

_CURRENT: Final = "2.17"
_SUPPORTED: Final = (
    *("2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8"),
    *("2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0"),
)


async def versions(service: Service, request: web.Request) -> web.Response:
    """Give the versions document."""
    return web.json_response(_document(service, request))


async def choices(service: Service, request: web.Request) -> web.Response:
    """Answer a request for a version that is not spoken: 300, with those that are."""
    return web.json_response(_document(service, request), status=300)


def _document(service: Service, request: web.Request) -> dict[str, Any]:
    base = service.settings.public_endpoint or str(request.url.origin())
    link = {"rel": "self", "href": f"{base.rstrip('/')}/v2/"}
    known = [(_CURRENT, "CURRENT"), *((version, "SUPPORTED") for version in _SUPPORTED)]
    return {
        "versions": [
            {"id": f"v{version}", "status": status, "links": [link]} for version, status in known
        ]
    }

"""The web application of a region: routes, and what happens around every request."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from meltemi.errors import MeltemiError
from meltemi.region.answers import of_error, refusal
from meltemi.region.api import (
    actions,
    data,
    descriptions,
    images,
    members,
    metadefs,
    tags,
    usage,
    versions,
)
from meltemi.region.service import Call, Service

_log: Final = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[web.StreamResponse]]
RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
LARGEST_BODY: Final = 2**20
"""Bytes of JSON that a request may have; data of images is not limited by it."""

_IMAGE: Final = "/v2/images/{image_id}"

ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/v2/images", images.listing),
    ("POST", "/v2/images", images.create),
    ("GET", _IMAGE, images.show),
    ("PATCH", _IMAGE, images.update),
    ("DELETE", _IMAGE, images.delete),
    ("PUT", f"{_IMAGE}/file", data.upload),
    ("GET", f"{_IMAGE}/file", data.download),
    ("PUT", f"{_IMAGE}/tags/{{tag}}", tags.add),
    ("DELETE", f"{_IMAGE}/tags/{{tag}}", tags.remove),
    ("GET", f"{_IMAGE}/members", members.listing),
    ("POST", f"{_IMAGE}/members", members.offer),
    ("GET", f"{_IMAGE}/members/{{member_id}}", members.show),
    ("PUT", f"{_IMAGE}/members/{{member_id}}", members.answer),
    ("DELETE", f"{_IMAGE}/members/{{member_id}}", members.withdraw),
    ("POST", f"{_IMAGE}/actions/deactivate", actions.deactivate),
    ("POST", f"{_IMAGE}/actions/reactivate", actions.reactivate),
    ("POST", f"{_IMAGE}/actions/clone", actions.clone),
    ("GET", "/v2/info/usage", usage.show),
    ("GET", "/v2/schemas/{name}", descriptions.show),
    ("GET", "/v2/schemas/metadefs/{name}", descriptions.show_of_metadefs),
    *metadefs.ROUTES,
)
"""Every resource of the API that wants to know who asks."""


def application(service: Service) -> web.Application:
    """Put a region's answers behind their paths."""
    app = web.Application(middlewares=[_telling], client_max_size=LARGEST_BODY)
    for method, path, handler in ROUTES:
        app.router.add_route(method, path, _known(service, handler))
    app.router.add_get("/versions", _anybody(service, versions.versions))
    app.router.add_get("/healthcheck", _healthy)
    app.router.add_route("*", "/v2{rest:(/.*)?}", _nothing)
    app.router.add_route("*", "/{rest:.*}", _anybody(service, versions.choices))
    return app


def _known(service: Service, handler: Handler) -> RequestHandler:
    """Find out who asks before anything is answered."""

    async def handle(request: web.Request) -> web.StreamResponse:
        service.policy.refresh()
        context = await service.identity.authenticate(request.headers)
        request[REQUEST_ID] = context.request_id
        return await handler(Call(service, context, request))

    return handle


def _anybody(
    service: Service, handler: Callable[[Service, web.Request], Awaitable[web.StreamResponse]]
) -> RequestHandler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(service, request)

    return handle


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def _nothing(request: web.Request) -> web.Response:
    return refusal(request, 404)


@web.middleware
async def _telling(request: web.Request, handler: RequestHandler) -> web.StreamResponse:
    """Turn every error into an answer, and give every answer the request's id."""
    try:
        response = await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods - {"HEAD"}))
        response = refusal(request, 405, headers={"Allow": allowed})
    except web.HTTPException as error:
        response = refusal(request, error.status, error.text or "")
    except MeltemiError as error:
        response = of_error(request, error)
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        _log.exception("%s %s: a defect", request.method, request.path)
        response = refusal(request, 500)
    if not response.prepared and (identifier := request.get(REQUEST_ID)):
        response.headers["x-openstack-request-id"] = identifier
    return response

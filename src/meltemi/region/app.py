"""The web application of a region: routes, and what happens around every request."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import web

from meltemi.errors import MeltemiError, RefusedError
from meltemi.region.adoption.front import Front
from meltemi.region.answers import document, of_error, refusal
from meltemi.region.api import (
    actions,
    cache,
    data,
    descriptions,
    exchange,
    images,
    imports,
    locations,
    members,
    metadefs,
    stores,
    tags,
    tasks,
    usage,
)
from meltemi.region.api.bodies import Answer, bodiless
from meltemi.region.api.versions import may_stand_for_v2, versions
from meltemi.region.inflight import InFlight
from meltemi.region.observing import (
    PROBES,
    cut_short,
    note_answer,
    note_route,
    note_sender,
    observing,
)
from meltemi.region.service import Call, Service

_log: Final = logging.getLogger(__name__)

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
CALL: Final = web.RequestKey("call", Call)
LARGEST_BODY: Final = 2**20
"""Bytes of JSON that a request may have; data of images is not limited by it."""

_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE")
"""In the order in which Glance tells them."""

_IMAGE: Final = "/v2/images/{image_id}"

ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/v2/images", images.listing),
    ("POST", "/v2/images", images.create),
    ("GET", _IMAGE, bodiless(images.show)),
    ("PATCH", _IMAGE, images.update),
    ("DELETE", _IMAGE, bodiless(images.delete)),
    ("PUT", f"{_IMAGE}/file", exchange.upload),
    ("GET", f"{_IMAGE}/file", bodiless(data.download)),
    ("PUT", f"{_IMAGE}/stage", data.stage),
    ("POST", f"{_IMAGE}/import", imports.begin),
    ("GET", f"{_IMAGE}/tasks", bodiless(tasks.of_image)),
    ("GET", f"{_IMAGE}/locations", locations.listing),
    ("POST", f"{_IMAGE}/locations", locations.add),
    ("PUT", f"{_IMAGE}/tags/{{tag}}", bodiless(tags.add)),
    ("DELETE", f"{_IMAGE}/tags/{{tag}}", bodiless(tags.remove)),
    ("GET", f"{_IMAGE}/members", bodiless(members.listing)),
    ("POST", f"{_IMAGE}/members", members.offer),
    ("GET", f"{_IMAGE}/members/{{member_id}}", bodiless(members.show)),
    ("PUT", f"{_IMAGE}/members/{{member_id}}", members.answer),
    ("DELETE", f"{_IMAGE}/members/{{member_id}}", bodiless(members.withdraw)),
    ("POST", f"{_IMAGE}/actions/deactivate", bodiless(actions.deactivate)),
    ("POST", f"{_IMAGE}/actions/reactivate", bodiless(actions.reactivate)),
    ("POST", f"{_IMAGE}/actions/clone", actions.clone),
    ("POST", "/v2/tasks", tasks.create),
    ("GET", "/v2/tasks", tasks.listing),
    ("GET", "/v2/tasks/{task}", tasks.show),
    ("DELETE", "/v2/tasks/{task}", tasks.delete),
    ("GET", "/v2/info/import", bodiless(stores.methods)),
    ("GET", "/v2/info/stores", bodiless(stores.listing)),
    ("GET", "/v2/info/stores/detail", bodiless(stores.detail)),
    ("DELETE", "/v2/stores/{store}/{image_id}", bodiless(stores.remove)),
    ("GET", "/v2/info/usage", usage.show),
    *cache.ROUTES,
    *descriptions.ROUTES,
    *exchange.ROUTES,
    *metadefs.ROUTES,
)
"""Every resource of the API that wants to know who asks."""


def application(service: Service, in_flight: InFlight) -> web.Application:
    """Put a region's answers behind their paths."""

    @web.middleware
    async def counting(request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        with in_flight.one_more():
            return await handler(request)

    @web.middleware
    async def answering(request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        try:
            return await _answered(service, request, handler)
        except MeltemiError as error:
            cut_short(request)
            return of_error(request, error)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - whatever a defect is, it is answered and logged
            _log.exception("%s %s: a defect", request.method, request.path)
            cut_short(request)
            return refusal(request, 500)

    async def closing(_: web.Request, response: web.StreamResponse) -> None:
        if in_flight.is_ending:
            response.force_close()
            response.headers["Connection"] = "close"  # it is too late for aiohttp to say so

    async def ready(_: web.Request) -> web.Response:
        away = await service.readiness.look()
        states = {part: "away" if is_away else "ok" for part, is_away in away.items()}
        return document(states, 503 if any(away.values()) else 200)

    settings = service.settings
    around = [counting, observing(service.meter), answering]
    app = web.Application(middlewares=around, client_max_size=LARGEST_BODY)
    app.on_response_prepare.append(_identified)
    app.on_response_prepare.append(closing)
    for method, path, handler in (*ROUTES, *(cache.OLD_ROUTES if settings.hot_images else ())):
        app.router.add_route(method, path, _handling(handler))
    app.router.add_get("/healthcheck", _healthy)
    app.router.add_get("/readyz", ready)
    return app


async def _answered(
    service: Service, request: web.Request, handler: RequestHandler
) -> web.StreamResponse:
    """Answer what is of this API's version; tell all else which versions there are."""
    path = "/" + request.path.lstrip("/")
    if path in PROBES:
        return await _refusing(request, handler(request))
    first, _, rest = path[1:].partition("/")
    if first == "versions":
        return versions(service, request)
    if first != "v2" and not may_stand_for_v2(service.settings, first):
        return versions(service, request, status=300)
    service.policy.refresh()
    context = await service.identity.authenticate(request.headers)
    request[REQUEST_ID] = context.request_id
    note_sender(context)
    _must_be_text(request.raw_path)
    found = request.match_info
    # A slash parts what it stands between, also where it is encoded.
    if path != request.path or first != "v2" or "%2F" in request.rel_url.raw_path.upper():
        elsewhere = request.rel_url.with_path(f"/v2/{rest}" if rest else "/v2")
        found = await request.app.router.resolve(request.clone(rel_url=elsewhere))
        note_route(request, found)
    request[CALL] = Call(service, context, request, found)
    return await _refusing(request, _handled(service.front, request, found, f"/v2/{rest}"))


async def _handled(
    front: Front | None, request: web.Request, found: web.UrlMappingMatchInfo, path: str
) -> web.StreamResponse:
    if front is not None:
        passed = await front.answer(request, path, request[CALL].url)
        if passed is not None:
            return passed
    return await found.handler(request)


async def _refusing(
    request: web.Request, answer: Awaitable[web.StreamResponse]
) -> web.StreamResponse:
    """Give an answer; where aiohttp knows none, say so as everywhere else."""
    try:
        return await answer
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(method for method in _METHODS if method in error.allowed_methods)
        return refusal(request, 405, headers={"Allow": allowed})
    except web.HTTPException as error:
        return refusal(request, error.status)


def _handling(handler: Answer) -> RequestHandler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request[CALL])

    return handle


def _must_be_text(raw_path: str) -> None:
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeError:
        raise RefusedError(
            "Error decoding your request. Either the URL or the request body contained characters "
            "that could not be decoded by Glance"
        ) from None


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(body=b"OK", headers={"Content-Type": "text/plain; charset=UTF-8"})


async def _identified(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the request's id."""
    note_answer(request, response)
    if identifier := request.get(REQUEST_ID):
        response.headers["x-openstack-request-id"] = identifier

"""The web application of a daemon: operations, and what happens around every request."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from meltemi.daemon.api import actions, events, owners, placements, routes, usage
from meltemi.daemon.api.call import Call, Parts, told
from meltemi.daemon.api.senders import Sender
from meltemi.daemon.events import webhook
from meltemi.errors import (
    ForbiddenError,
    IdentityError,
    MeltemiError,
    UnauthorizedError,
    UnavailableError,
)
from meltemi.model.role import Role

_log: Final = logging.getLogger(__name__)

LARGEST_BODY: Final = 2**16
HEALTH: Final = "/healthcheck"

_OPEN: Final = (HEALTH, webhook.PATH)
"""What takes no token: the webhook knows its senders by their signatures."""

Answer = Callable[[Call], Awaitable[web.StreamResponse]]
_SENDER: Final = web.RequestKey("sender", Sender)


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked of a daemon, and the least role that it takes.

    What is `shared` concerns all projects: who may see only their own project's is refused.
    """

    method: str
    path: str
    role: Role
    answer: Answer
    shared: bool = False


_CREDENTIAL: Final = "/v1/credentials/{library}"
_HELD: Final = "/v1/pauses/{kind}/{name}"

OPERATIONS: Final = (
    Operation("GET", "/v1/daemon", Role.READER, routes.daemon),
    Operation("GET", "/v1/routes", Role.READER, routes.listing),
    Operation("GET", "/v1/placements", Role.READER, placements.listing),
    Operation("GET", "/v1/changes", Role.READER, placements.history),
    Operation("GET", "/v1/events", Role.READER, events.stream),
    Operation("GET", "/v1/usage", Role.READER, usage.listing),
    Operation("GET", "/v1/runs", Role.READER, actions.runs, shared=True),
    Operation("POST", "/v1/runs", Role.OPERATOR, actions.run),
    Operation("POST", "/v1/retries", Role.OPERATOR, actions.retry),
    Operation("GET", "/v1/pauses", Role.READER, actions.pauses, shared=True),
    Operation("PUT", _HELD, Role.OPERATOR, actions.pause),
    Operation("DELETE", _HELD, Role.OPERATOR, actions.resume),
    Operation("GET", "/v1/answers", Role.READER, owners.answers),
    Operation("GET", "/v1/credentials", Role.READER, owners.credentials),
    Operation("PUT", _CREDENTIAL, Role.READER, owners.leave_credential),
    Operation("DELETE", _CREDENTIAL, Role.READER, owners.take_credential),
    Operation("GET", "/v1/audit", Role.ADMIN, actions.audit),
)


def application(parts: Parts) -> web.Application:
    """Put a daemon's answers behind their paths."""

    @web.middleware
    async def answering(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            if request.path not in _OPEN:
                request[_SENDER] = await parts.senders().authenticate(request.headers)
            return await handler(request)
        except MeltemiError as error:
            return _refusal(request, error)
        except web.HTTPException as error:
            allowed = {name: value for name, value in error.headers.items() if name == "Allow"}
            return _error(error.status, error.reason, allowed)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - whatever a defect is, it is answered and logged
            _log.exception("%s %s: a defect", request.method, request.path)
            return _error(500, "a defect in Meltemi: the log of the daemon says more")

    app = web.Application(middlewares=[answering], client_max_size=LARGEST_BODY)
    app.on_response_prepare.append(_identified)
    for operation in OPERATIONS:
        app.router.add_route(
            operation.method,
            operation.path,
            _handling(parts, operation),
        )
    app.router.add_get(HEALTH, _healthy)
    app.router.add_post(webhook.PATH, parts.webhook.answer)
    return app


def _handling(
    parts: Parts, operation: Operation
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(parts, request[_SENDER], request)
        try:
            _must_be_allowed(call.sender, operation)
        except ForbiddenError:
            if operation.method != "GET":
                what = f"{request.method} {request.rel_url.raw_path[:500]}"
                action = operation.answer.__name__.replace("_", " ")
                await parts.state.note(call.act(action, what, refused=True))
            raise
        return await operation.answer(call)

    return handle


def _must_be_allowed(sender: Sender, operation: Operation) -> None:
    if not sender.may(operation.role):
        has = f"is {sender.role}" if sender.role else "has none of Meltemi's roles"
        raise ForbiddenError(f"that takes the role {operation.role}: {sender.who} {has}")
    if operation.shared and sender.project is not None:
        raise ForbiddenError(f"that concerns all projects: {sender.who} may see one of them")


def _refusal(request: web.Request, error: MeltemiError) -> web.Response:
    """Answer with what an error says; a failure of our own stays in the log."""
    status = error.http_status
    if isinstance(error, UnauthorizedError):
        return _error(status, str(error), {"WWW-Authenticate": error.challenge})
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _error(status, str(error))
    _log.error("%s %s: %s", request.method, request.path, error)
    again = error.retry_after if isinstance(error, IdentityError) else 1
    text = error.told if isinstance(error, UnavailableError) else "not to be had now; try again"
    return _error(status, text, {"Retry-After": str(again)})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"error": {"code": status, "title": HTTPStatus(status).phrase, "message": message}}
    response = told(body, status)
    response.headers.update(headers or {})
    return response


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def _identified(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the request's id."""
    if sender := request.get(_SENDER):
        response.headers["x-openstack-request-id"] = sender.request_id

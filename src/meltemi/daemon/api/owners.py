"""What owners are told of the regions that they have chosen, and the credentials they leave."""

import time
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from meltemi.daemon.api import documents
from meltemi.daemon.api.call import Call, answer, told
from meltemi.daemon.state.records import Cause, Locked, Request
from meltemi.daemon.vault import Vault
from meltemi.errors import (
    ConfigurationError,
    ForbiddenError,
    UnavailableError,
    UsageError,
    VanishedError,
)
from meltemi.model.credential import Credential
from meltemi.model.role import Role

_LONGEST: Final = 1024


async def answers(call: Call) -> web.Response:
    """List what owners are told, by image and source."""
    query = call.query("image", "limit", "marker")
    limit, image = call.limit(query), await call.image(query.get("image"))
    after = _after(query["marker"]) if "marker" in query else None

    def shape(rows: Sequence[Any]) -> bytes:
        last = rows[limit - 1] if len(rows) > limit else None
        following = last and call.next(f"{last.image}/{last.source}")
        return documents.page("answers", [documents.answer(row) for row in rows[:limit]], following)

    page = call.state.answers.page(call.sender.project, image, after, limit + 1, shape)
    return answer(await page)


async def credentials(call: Call) -> web.Response:
    """List whose credentials are there for which libraries; they themselves are never shown."""
    call.query()
    found = await call.state.credentials.read(owner=call.sender.project)
    return told({"credentials": [documents.credential(one) for one in found]})


async def leave_credential(call: Call) -> web.Response:
    """Take a project's credential for a library, in place of the one before."""
    call.query()
    body = await call.json("id", "secret", "project")
    library, owner = await _place(call, "leave credential", body.get("project"))
    for name in ("id", "secret"):
        if not 0 < len(body.get(name, "")) <= _LONGEST:
            raise UsageError(f"{name} has to be given, of at most {_LONGEST} characters")
    secret = _vault(call).lock(owner, library, Credential(body["id"], body["secret"]))
    locked = Locked(owner, library, secret, time.time(), call.sender.who)
    act = call.act("leave credential", _subject(library, owner))
    await call.state.credentials.put(locked, _request(library), act)
    return web.Response(status=204)


async def take_credential(call: Call) -> web.Response:
    """Forget a project's credential for a library."""
    library, owner = await _place(call, "take credential", call.query("project").get("project"))
    act = call.act("take credential", _subject(library, owner))
    if not await call.state.credentials.remove(owner, library, _request(library), act):
        raise VanishedError(f"project {owner} has left no credential for {library}")
    return web.Response(status=204)


def _vault(call: Call) -> Vault:
    keys = call.parts.configuration().daemon.keys
    if keys is None:
        raise AssertionError("a configuration with such a library names its keys")
    try:
        return Vault(keys)
    except ConfigurationError as error:
        raise UnavailableError(str(error), told="the daemon cannot keep credentials now") from error


async def _place(call: Call, action: str, project: str | None) -> tuple[str, str]:
    """Give the library, and whose credential it is; refuse whom it does not concern."""
    library = call.known_library(call.path("library")) or ""
    routes = call.parts.configuration().routes
    if not any(library in route.choosing.owned for route in routes if route.choosing is not None):
        raise UsageError(f"{library} takes no credentials of owners: the daemon has its own")
    sender = call.sender
    owner = project or sender.project
    if owner is not None and len(owner) > _LONGEST:
        raise UsageError(f"project has at most {_LONGEST} characters")
    mine = sender.project is not None and owner == sender.project and sender.is_member
    if not mine and not (sender.may(Role.ADMIN) and sender.project is None):
        subject = _subject(library, owner or "nobody")
        await call.state.note(call.act(action, subject, refused=True))
        raise ForbiddenError(
            f"a project's credential is its members' to leave and to take: {sender.who} is none"
        )
    if owner is None:
        raise UsageError("whose credential? name a project")
    return library, owner


def _subject(library: str, owner: str) -> str:
    return f"library {library}, project {owner}"


def _request(library: str) -> Request:
    return Request(Cause.REQUEST, time.time(), library=library)


def _after(marker: str) -> tuple[str, str]:
    image, _, source = marker.partition("/")
    if not (image and source):
        raise UsageError("marker has to be what `next` of a page says")
    return image, source

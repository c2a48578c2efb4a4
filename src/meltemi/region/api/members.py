"""Members: the projects that a shared image is offered to, and what they say to it."""

from typing import Any

from aiohttp import web

from meltemi.errors import ForbiddenError, QuotaError, RefusedError, VanishedError
from meltemi.model.image import MEMBER_STATUSES, Image, Member
from meltemi.region.answers import document
from meltemi.region.api.news import tell_member
from meltemi.region.api.wire import to_the_second
from meltemi.region.service import Call


async def listing(call: Call) -> web.Response:
    """Give the members of an image, as far as who asks may know of them."""
    image = await _shared(call)
    _demand(call, "get_members", image)
    members = await _visible(call, image)
    body = {"members": [_shown(image, one) for one in members], "schema": "/v2/schemas/members"}
    return document(body)


async def show(call: Call) -> web.Response:
    """Give one member; whoever may not know of it is told that there is none."""
    try:
        image = await _shared(call)
        member = await _member(call, image)
    except ForbiddenError as error:
        raise VanishedError(str(error)) from error
    return document(_shown(image, member))


async def offer(call: Call) -> web.Response:
    """Offer an image to a project."""
    project = _field(await call.json(), "member", "Member to be added not specified")
    if not project:
        raise RefusedError("Member can't be empty")
    image = await _shared(call)
    _demand(call, "add_member", image, "create")
    limit = call.settings.limits.image_member_quota
    count = len(await call.catalogue.members(image.id)) + 1
    if 0 <= limit < count:
        raise QuotaError(
            f"Image member limit exceeded for image {image.id}: The limit has been exceeded on the "
            f"number of allowed image members for this image. Attempted: {count}, "
            f"Maximum: {limit}:"
        )
    member = await call.catalogue.offer(image.id, Member(project))
    tell_member(call, "image.member.create", image, member)
    return document(_shown(image, member))


async def answer(call: Call) -> web.Response:
    """Set what a project says to an image that is offered to it."""
    status = _field(await call.json(), "status", "Status not specified")
    image = await _shared(call)
    member = await _member(call, image)
    _demand(call, "modify_member", image, "update")
    if status not in MEMBER_STATUSES:
        known = '", "'.join(MEMBER_STATUSES)
        raise RefusedError(f'Incorrect request: Status must be "{known}".')
    changed = await call.catalogue.answer(image.id, Member(member.id, status))
    tell_member(call, "image.member.update", image, changed)
    return document(_shown(image, changed))


async def withdraw(call: Call) -> web.Response:
    """Offer an image to a project no longer."""
    image = await _shared(call)
    member = await _member(call, image)
    _demand(call, "delete_member", image, "delete")
    await call.catalogue.withdraw(image.id, member.id)
    tell_member(call, "image.member.delete", image, member)
    return web.Response(status=204)


async def _shared(call: Call) -> Image:
    """Give the image that the path names; only shared ones have members."""
    record = await call.image(missing=f"Image {call.image_id} not found.")
    if record.image.visibility != "shared":
        raise ForbiddenError("Only shared images have members.")
    return record.image


async def _visible(call: Call, image: Image) -> list[Member]:
    """Give the members that who asks may know of: the owner knows all, a member only itself."""
    members = await call.catalogue.members(image.id)
    everything = call.context.is_admin or call.context.project == image.owner
    return [one for one in members if everything or one.id == call.context.project]


async def _member(call: Call, image: Image) -> Member:
    _demand(call, "get_member", image)
    wanted = call.path["member_id"]
    for member in await _visible(call, image):
        if member.id == wanted:
            return member
    raise VanishedError(f"{wanted} not found in the member list of the image {image.id}.")


def _demand(call: Call, rule: str, image: Image, verb: str = "") -> None:
    try:
        call.demand(rule, image)
    except ForbiddenError as error:
        if not verb:
            raise
        raise ForbiddenError(f"Not allowed to {verb} members for image {image.id}.") from error


def _field(body: Any, name: str, missing: str) -> Any:
    if not isinstance(body, dict):
        raise RefusedError(f'Expected a {name} in the form: {{"{name}": "{name}"}}')
    if name not in body:
        raise RefusedError(missing)
    return body[name]


def _shown(image: Image, member: Member) -> dict[str, Any]:
    return {
        "member_id": member.id,
        "image_id": image.id,
        "status": member.status,
        "created_at": to_the_second(member.created_at),
        "updated_at": to_the_second(member.updated_at),
        "schema": "/v2/schemas/member",
    }

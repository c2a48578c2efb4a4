"""Members: the projects that a shared image is offered to, and what they say to it."""

from typing import Any, Final

from aiohttp import web

from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    QuotaError,
    RefusedError,
    VanishedError,
)
from meltemi.model.image import MEMBER_STATUSES, Image, Member
from meltemi.region.answers import document
from meltemi.region.api.news import tell_member
from meltemi.region.api.wire import to_the_second
from meltemi.region.service import Call

_NOT_SHARED: Final = "Only shared images have members."
_LONGEST_ID: Final = 255


async def listing(call: Call) -> web.Response:
    """Give the members of an image, as far as who asks may know of them."""
    image = await _shared(
        call, f"Not allowed to list members for image {call.image_id}: {_NOT_SHARED}"
    )
    call.demand("get_members", image)
    members = await _visible(call, image) if call.may("get_member", image) else []
    body = {"members": [_shown(image, one) for one in members], "schema": "/v2/schemas/members"}
    return document(body)


async def show(call: Call) -> web.Response:
    """Give one member; whoever may not know of it is told that there is none."""
    try:
        image = await _shared(call, _NOT_SHARED)
        member = await _member(call, image)
    except ForbiddenError as error:
        raise VanishedError(str(error)) from error
    return document(_shown(image, member))


async def offer(call: Call) -> web.Response:
    """Offer an image to a project."""
    project = _field(await call.json(), "member", "Member to be added not specified", "image_id")
    if not project:
        raise RefusedError("Member can't be empty")
    if not isinstance(project, str) or len(project) > _LONGEST_ID:
        raise RefusedError(f"Member has to be text of at most {_LONGEST_ID} characters")
    image = await _shared(call, f"Not allowed to create members for image {call.image_id}.")
    call.demand("add_member", image)
    limit = call.settings.limits.image_member_quota
    count = len(await call.catalogue.members(image.id)) + 1
    if 0 <= limit < count:
        raise QuotaError(
            f"Image member limit exceeded for image {image.id}: The limit has been exceeded on the "
            f"number of allowed image members for this image. Attempted: {count}, "
            f"Maximum: {limit}:"
        )
    try:
        made = await call.catalogue.offer(image.id, Member(project))
    except ConflictError as error:
        raise ConflictError(f"Member {project} is duplicated for image {image.id}") from error
    tell_member(call, "image.member.create", image, made)
    return document(_shown(image, made))


async def answer(call: Call) -> web.Response:
    """Set what a project says to an image that is offered to it."""
    status = _field(await call.json(), "status", "Status not specified", "status")
    image = await _shared(call, f"Not allowed to update members for image {call.image_id}.")
    member = await _member(call, image)
    call.demand("modify_member", image)
    if status not in MEMBER_STATUSES:
        raise RefusedError('Incorrect request: Status must be "pending", "accepted" or "rejected".')
    changed = await call.catalogue.answer(image.id, Member(member.id, status))
    tell_member(call, "image.member.update", image, changed)
    return document(_shown(image, changed))


async def withdraw(call: Call) -> web.Response:
    """Offer an image to a project no longer."""
    image = await _shared(call, f"Not allowed to delete members for image {call.image_id}.")
    member = await _member(call, image)
    call.demand("delete_member", image)
    await call.catalogue.withdraw(image.id, member.id)
    tell_member(call, "image.member.delete", image, member)
    return web.Response(status=204)


async def _shared(call: Call, refusal: str) -> Image:
    """Give the image that the path names, if who asks may see it; only shared ones have members."""
    record = await call.found(f"Image {call.image_id} not found.")
    if record.image.visibility != "shared":
        raise ForbiddenError(refusal)
    call.demand("get_image", record.image)
    return record.image


async def _visible(call: Call, image: Image) -> list[Member]:
    """Give the members that who asks may know of: the owner knows all, a member only itself."""
    members = await call.catalogue.members(image.id)
    everything = call.context.is_admin or call.context.project == image.owner
    return [one for one in members if everything or one.id == call.context.project]


async def _member(call: Call, image: Image) -> Member:
    call.demand("get_member", image)
    wanted = call.path["member_id"]
    for member in await _visible(call, image):
        if member.id == wanted:
            return member
    raise VanishedError(f"{wanted} not found in the member list of the image {image.id}.")


def _field(body: Any, name: str, missing: str, example: str) -> Any:
    if not isinstance(body, dict):
        raise RefusedError(f'Expected a {name} in the form: {{"{name}": "{example}"}}')
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

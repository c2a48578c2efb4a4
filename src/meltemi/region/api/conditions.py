"""Requests that depend on what the client has already (RFC 9110, section 13)."""

from aiohttp import ETag, web

from meltemi.errors import PreconditionError


def is_known(request: web.Request, etag: str | None) -> bool:
    """Say whether the client has data with this entity tag, and wants it only otherwise.

    Raise PreconditionError where it wants no other data than what it has, and this is other.
    """
    wanted = request.if_match
    if wanted is not None and not any(_is(one, etag) and not one.is_weak for one in wanted):
        raise PreconditionError("The data is not what the header If-Match says.")
    return any(_is(one, etag) for one in request.if_none_match or ())


def wants_part(request: web.Request, etag: str | None) -> bool:
    """Say whether a client wants a range of data with this entity tag, or rather all of it."""
    condition = request.headers.get("If-Range")
    return condition is None or (etag is not None and condition.strip() == f'"{etag}"')


def _is(told: ETag, etag: str | None) -> bool:
    return told.value in ("*", etag)

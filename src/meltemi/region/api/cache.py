"""The cache of the host that answers: copies of hot images, and those that are wanted.

A copy is one of data. An image is in the cache where its data is, with whatever images share it.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from meltemi.errors import ConflictError, RefusedError, VanishedError
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.region.answers import document
from meltemi.region.api.bodies import Answer, bodiless
from meltemi.region.service import Call
from meltemi.region.targets import of_image

_TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("cache", "queue"),
    "cache": ("cache",),
    "queue": ("queue",),
}


async def state(call: Call) -> web.Response:
    """Give the images that are in the cache, and those that are to be."""
    _demand(call, "cache_list")
    return document({"cached_images": await _cached(call), "queued_images": await _queued(call)})


async def clear(call: Call) -> web.Response:
    """Empty the cache, the queue, or both."""
    _demand(call, "cache_delete")
    target = call.request.headers.get("x-image-cache-clear-target", "").lower()
    if target not in _TARGETS:
        raise RefusedError(
            "If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string."
        )
    if "queue" in _TARGETS[target]:
        await call.service.hot.forget_wanted()
    if "cache" in _TARGETS[target]:
        await call.service.hot.discard_copies()
    return web.Response(status=204)


async def want(call: Call) -> web.Response:
    """Put an image into the queue of those that are copied into the cache."""
    record = await _found(call)
    _demand(call, "cache_image", record.image)
    await _want(call, record)
    return web.Response(status=202)


async def discard(call: Call) -> web.Response:
    """Take an image out of the cache and out of the queue."""
    record = await _found(call)
    _demand(call, "cache_delete", record.image)
    await _discard(call, record)
    return web.Response(status=204)


async def nodes(call: Call) -> web.Response:
    """Refuse to tell which hosts have an image in their cache: each knows of its own alone."""
    _demand(call, "list_cached_nodes")
    raise ConflictError("Centralized caching is not enabled")


async def clean(call: Call) -> web.Response:
    """Remove what was left over."""
    _demand(call, "cache_clean")
    await call.service.hot.sweep()
    return web.Response()


async def prune(call: Call) -> web.Response:
    """Make the cache no larger than it may be."""
    _demand(call, "cache_prune")
    pruned = await call.service.hot.prune()
    return document({"total_files_pruned": len(pruned), "total_bytes_pruned": sum(pruned)})


async def _old_cached(call: Call) -> web.Response:
    _demand(call, "manage_image_cache")
    return document({"cached_images": await _cached(call)})


async def _old_queued(call: Call) -> web.Response:
    _demand(call, "manage_image_cache")
    return document({"queued_images": await _queued(call)})


async def _old_want(call: Call) -> web.Response:
    _demand(call, "manage_image_cache")
    await _want(call, await _found(call))
    return document(None)


async def _old_discard(call: Call) -> web.Response:
    _demand(call, "manage_image_cache")
    with suppress(VanishedError):
        await _discard(call, await _found(call))
    return document(None)


async def _old_clear_cache(call: Call) -> web.Response:
    _demand(call, "manage_image_cache")
    return document({"num_deleted": await call.service.hot.discard_copies()})


async def _old_clear_queue(call: Call) -> web.Response:
    _demand(call, "manage_image_cache")
    return document({"num_deleted": await call.service.hot.forget_wanted()})


_IMAGE: Final = "/v2/cache/{image_id:(?!clean$|prune$)[^/]+}"

ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/v2/cache", bodiless(state)),
    ("DELETE", "/v2/cache", clear),
    ("PUT", _IMAGE, want),
    ("DELETE", _IMAGE, discard),
    ("GET", "/v2/cache/nodes/{image_id}", bodiless(nodes)),
    ("POST", "/v2/cache/clean", clean),
    ("POST", "/v2/cache/prune", prune),
)

OLD_ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/v2/cached_images", _old_cached),
    ("DELETE", "/v2/cached_images", _old_clear_cache),
    ("DELETE", "/v2/cached_images/{image_id}", _old_discard),
    ("GET", "/v2/queued_images", _old_queued),
    ("DELETE", "/v2/queued_images", _old_clear_queue),
    ("PUT", "/v2/queued_images/{image_id}", _old_want),
    ("DELETE", "/v2/queued_images/{image_id}", _old_discard),
)
"""The API before version 2.14, which is there only where there is a cache."""


def _demand(call: Call, rule: str, image: Image | None = None) -> None:
    facts = of_image(call.context, image) if image else {}
    call.service.policy.demand(call.context, rule, facts)
    if not call.settings.hot_images:
        raise VanishedError("Caching via API is not supported at this site.")


async def _found(call: Call) -> Record:
    return await call.found(f"Image {call.image_id} not found.")


async def _want(call: Call, record: Record) -> None:
    if record.image.status != "active" or record.content is None:
        raise RefusedError("Only images with status active can be targeted for queueing")
    await call.service.hot.want(record.content)


async def _discard(call: Call, record: Record) -> None:
    if record.content is not None:
        await call.service.hot.discard(record.content)


async def _cached(call: Call) -> list[dict[str, Any]]:
    copies = {copy.content: copy for copy in await call.service.hot.copies()}
    images = await call.catalogue.having(list(copies))
    return [
        {
            "image_id": image,
            "hits": copies[content].hits,
            "last_accessed": copies[content].read,
            "last_modified": copies[content].made,
            "size": copies[content].size,
        }
        for image, content in sorted(images.items())
    ]


async def _queued(call: Call) -> list[str]:
    contents = await call.service.hot.wanted()
    place = {content: number for number, content in enumerate(contents)}
    images = await call.catalogue.having(contents)
    return sorted(images, key=lambda image: (place[images[image]], image))

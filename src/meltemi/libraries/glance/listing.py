"""Reading a Glance listing, ascending by id, the next page fetched ahead; and some images of it."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from meltemi.errors import (
    AuthenticationError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    NotALibraryError,
    UnreachableError,
)
from meltemi.libraries.finding import Sought
from meltemi.libraries.glance.http import GlanceHttp
from meltemi.model.image import Image
from meltemi.model.wire import image_from_wire

PAGE: Final = 250
"""Images asked for at once; a service may give fewer."""


_ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,36}")
"""What an image's id can be: whatever somebody wrote into another one's `kernel_id` may be none."""

_IDS: Final = 50
"""Ids that one request asks for; an address must not become too long."""

_AT_ONCE: Final = 8
"""Requests of a search that are under way at once."""


async def find_images(http: GlanceHttp, sought: Sought) -> list[Image]:
    """Ask for a few images; what a service gives beyond them comes along."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(filters: Mapping[str, str], *, hidden: bool) -> list[Image]:
        async with gate:
            pages = _pages(http, hidden=hidden, filters=filters)
            return [image async for page in pages for image in page]

    plain, all_of_them = _filters(sought)
    answers = await asyncio.gather(
        *(ask(filters, hidden=False) for filters in (*plain, *all_of_them)),
        *(ask(filters, hidden=True) for filters in all_of_them),
    )
    return [image for answer in answers for image in answer]


def _filters(sought: Sought) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Write what is sought as filters: of images that are not hidden, and of all."""
    plain = []
    for name, owner in sorted(sought.names, key=str):
        # Without its operator, a colon in the name would be taken for one.
        plain.append({"name": f"eq:{name}", **({} if owner is None else {"owner": owner})})
    ids = sorted(filter(_ID.fullmatch, sought.ids))
    every = [{"id": f"in:{','.join(ids[n : n + _IDS])}"} for n in range(0, len(ids), _IDS)]
    every += [{name: value} for name, value in sorted(sought.properties)]
    return plain, every


async def list_images(http: GlanceHttp) -> AsyncIterator[list[Image]]:
    """Merge the plain and the hidden listing, which Glance gives only one at a time."""
    plain, hidden = _pages(http, hidden=False), _pages(http, hidden=True)
    try:
        held: list[Image] = await anext(hidden, [])
        async for page in plain:
            while held and held[0].id <= page[-1].id:
                last = page[-1].id
                page += [image for image in held if image.id <= last]
                held = [image for image in held if image.id > last] or await anext(hidden, [])
            yield _once(page)
        while held:
            yield _once(held)
            held = await anext(hidden, [])
    finally:
        await plain.aclose()
        await hidden.aclose()


def _once(page: list[Image]) -> list[Image]:
    """Order a page; an image hidden or shown meanwhile may stand in both listings."""
    return sorted({image.id: image for image in page}.values(), key=lambda image: image.id)


async def _pages(
    http: GlanceHttp, *, hidden: bool, filters: Mapping[str, str] | None = None
) -> AsyncGenerator[list[Image], None]:
    query = {"limit": PAGE, "sort_key": "id", "sort_dir": "asc", "visibility": "all"}
    query |= filters or {}
    if hidden:
        query["os_hidden"] = "true"
    seen = set[str]()
    coming: asyncio.Task[tuple[list[Image], bool]] | None
    coming = asyncio.create_task(_page(http, query))
    try:
        while coming is not None:
            page, more = await coming
            if more:
                query["marker"] = last = page[-1].id
                if last in seen:
                    raise NotALibraryError(
                        f"{http.name}: listing images: it gives the same page again and again",
                        library=http.name,
                    )
                seen.add(last)
            coming = asyncio.create_task(_page(http, query)) if more else None
            if page:
                yield page
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _page(http: GlanceHttp, query: dict[str, Any]) -> tuple[list[Image], bool]:
    """Fetch one page; say also whether there is another."""
    try:
        body = await http.request("GET", f"/v2/images?{urlencode(query)}", "listing images")
        with http.understanding("listing images"):
            page = [image_from_wire(image) for image in body["images"]]
            more = bool(page and body.get("next"))
    except InterruptedTransfer as error:
        raise UnreachableError(str(error), library=http.name) from error
    except ForbiddenError as error:
        raise AuthenticationError(str(error), library=http.name) from error
    except ImageError as error:
        raise NotALibraryError(str(error), library=http.name) from error
    return page, more

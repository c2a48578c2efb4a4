"""Locations of images: told, and given to queued images to get their data from.

An image of a region has one location, which names its data by the hash. A queued image that is
given the location of other data of the region shares that, if who asks may download an image that
has it: knowing a hash gives nobody its data. What an HTTP location names is fetched, once, and is
then the region's own; the image is active when all of that is stored and verified.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from meltemi.errors import ConflictError, ForbiddenError, QuotaError, RefusedError
from meltemi.model.image import Hashes, Image
from meltemi.model.location import location_of, parse_location
from meltemi.model.record import Record
from meltemi.region.answers import document
from meltemi.region.api.data import is_withheld
from meltemi.region.api.editing import FORMATS
from meltemi.region.api.imports import task_of
from meltemi.region.api.news import tell_active
from meltemi.region.api.patch import Change
from meltemi.region.api.schemas import LOCATION, Checker
from meltemi.region.api.validation import expected_hashes, validated_hashes, validation_data
from meltemi.region.api.wire import STORE, locations
from meltemi.region.data.uploading import must_have_formats
from meltemi.region.imports.importing import LOCATION_TASK, begin_import
from meltemi.region.imports.source import contradicts, expecting, stored
from meltemi.region.quotas import SIZE, mebibytes
from meltemi.region.service import Call

_MOST: Final = 1
"""Locations that an image can have."""

_VERBS: Final = {"add": "add", "remove": "remove", "replace": "update"}
_INVALID: Final = "Invalid location"
_WEB: Final = ("http://", "https://")
_CHECKER: Final = Checker(LOCATION)


@dataclass(frozen=True, slots=True)
class _Location:
    """Where an image is to get its data from, and its hashes then, as read from `data`."""

    url: str
    data: Mapping[str, str]
    expected: Hashes


async def listing(call: Call) -> web.Response:
    """Tell services of the cloud where an image's data lies."""
    return document(locations(call, await call.image("fetch_image_location")))


async def add(call: Call) -> web.Response:
    """Give a queued image a location to get its data from."""
    body = _CHECKER.check({"add_location": await call.json()})["add_location"]
    record = await call.found()
    image = record.image
    if image.status != "queued":
        raise ConflictError(f"It's not allowed to add locations if image status is {image.status}.")
    call.demand("add_image_location", image)
    url, data = body["url"], body.get("validation_data", {})
    if not _may_name(call, url):
        raise ForbiddenError("http store must be enabled to use location API by normal user.")
    location = _Location(url, data, expected_hashes(data))
    must_have_formats(image)
    filtered = f"URI for add location does not pass filtering: {url}"
    source = await _source(call, image, location, filtered)
    await _fill(call, image, location, source)
    return web.Response(status=202)


def located(call: Call, image: Image, change: Change) -> Image:
    """Give the image as it is after a change of its locations, or raise what forbids that."""
    verb, operation = _VERBS[change.operation], change.operation
    if operation == "replace" and not change.value:
        raise ForbiddenError("Cannot set locations to empty list.")
    rule = "delete_image_location" if operation == "remove" else "set_image_location"
    call.demand(rule, image)
    if not call.settings.show_multiple_locations:
        raise ForbiddenError(f"It's not allowed to {verb} locations if locations are invisible.")
    if image.status not in (("active",) if operation == "remove" else ("active", "queued")):
        raise ConflictError(
            f"It's not allowed to {operation} locations if image status is {image.status}."
        )
    if operation == "remove":
        raise ForbiddenError("Cannot remove last location in the image.")
    wanted = change.value if operation == "replace" else [change.value]
    validated_hashes(image, validation_data(wanted), call.settings.hashing_algorithm)
    if operation == "add" and not (change.path[1].isdigit() or change.path[1] == "-"):
        raise RefusedError("Invalid position for adding a location.")
    kept = 1 if operation == "add" and image.status == "active" else 0
    if kept + len(wanted) > _MOST:
        raise QuotaError(
            "The limit has been exceeded on the number of allowed image locations. Attempted: "
            f"{kept + len(wanted)}, Maximum: {_MOST}"
        )
    if image.status == "active" and wanted[0]["url"] != location_of(STORE, image.hashes):
        raise RefusedError("Original locations is not empty: an image of a region has one")
    if wanted[0]["metadata"].keys() - {"store"}:
        raise RefusedError(f"{_INVALID}: the locations of a region have no metadata but `store`")
    if image.status == "queued":
        must_have_formats(image)
    return replace(image, status="active")


async def prepare_filling(
    call: Call, edit: Callable[[Image], Image], changes: Sequence[Change]
) -> Callable[[], Awaitable[Record]] | None:
    """Give what is to be done after the changes, where they give a queued image its data.

    All that can be refused is refused now, before anything is changed.
    """
    wanted = [one for one in changes if one.attribute == "locations" and one.operation != "remove"]
    if not wanted:
        return None
    before = (await call.found()).image
    image = edit(before)
    if before.status != "queued":
        return None
    given = wanted[0].value if wanted[0].operation == "replace" else [wanted[0].value]
    data = validation_data(given)
    expected = validated_hashes(before, data, call.settings.hashing_algorithm)
    location = _Location(given[0]["url"], data, expected)
    source = await _source(call, image, location, _INVALID)
    return lambda: _fill(call, image, location, source)


def _may_name(call: Call, url: str) -> bool:
    """Say whether who asks may name a location of that kind, as by a policy of its own."""
    if parse_location(STORE, url) or "service" in call.context.roles | call.context.service_roles:
        return True
    return call.settings.http_store and url.startswith(_WEB)


async def _source(call: Call, image: Image, location: _Location, filtered: str) -> Record | None:
    """Find the image whose data a location names; None where that is to be had from the web.

    Raise RefusedError where it is neither, in the words of `filtered` where the operator's rules
    say so; ConflictError where the data is not what it should be; QuotaError where it is too much.
    """
    hashes = parse_location(STORE, location.url)
    if hashes is None:
        await _must_be_fetchable(call, location.url, filtered)
        await call.service.quotas.demand(call.context.project, SIZE)
        return None
    found = await _downloadable(call, hashes, image)
    if found is None:
        raise RefusedError(_INVALID)
    if contradicts(found.image.hashes, location.expected):
        raise ConflictError("validation_data: the data at this location has another hash")
    size = mebibytes(found.image.size or 0)
    await call.service.quotas.demand(call.context.project, SIZE, size)
    return found


async def _must_be_fetchable(call: Call, url: str, filtered: str) -> None:
    if url.startswith(_WEB):
        try:
            await call.service.web.check(url)
        except RefusedError:
            raise RefusedError(filtered) from None
        if call.settings.http_store:
            return
    raise RefusedError(_INVALID)


async def _downloadable(call: Call, hashes: Hashes, image: Image) -> Record | None:
    """Find an image with data of that hash which who asks may download.

    One of the formats of `image` comes before others. Those that are not to be downloaded make no
    difference to what is answered.
    """
    other, after = None, ""
    while page := await call.catalogue.alike(hashes, call.context.viewer, after):
        for record in page:
            if call.may("download_image", record.image) and not is_withheld(call, record.image):
                if _are_formats_alike(record.image, image):
                    return record
                other = other or record
        after = page[-1].image.id
    return other


async def _fill(call: Call, image: Image, location: _Location, other: Record | None) -> Record:
    """Give an image its data, in the background where that takes time.

    Data is read, and inspected, where the image says that it is something else than the one which
    has it, or where it is to be held against a hash that nobody has computed.
    """
    service, expected = call.service, location.expected
    given = {"image_id": image.id, "loc_url": location.url, "validation_data": location.data}
    if other is not None:
        known = expected.algorithm in (None, other.image.hashes.algorithm)
        if known and _are_formats_alike(other.image, image):
            record = await call.catalogue.share(image.id, other.image.id)
            tell_active(service, record)
            done = {"status": "success", "result": {"image_id": image.id}}
            await service.tasks.add(task_of(call, LOCATION_TASK, image.id, given, **done))
            return record
    origin = service.web.fetch(location.url) if other is None else stored(service.contents, other)
    task = task_of(call, LOCATION_TASK, image.id, given)
    source = expecting(origin, expected, call.settings.hashing_algorithm)
    _, record = await begin_import(service, task, "queued", source)
    return record


def _are_formats_alike(one: Image, other: Image) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in FORMATS)

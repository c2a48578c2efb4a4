"""An image's data: uploaded, downloaded, whole or in part."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, nullcontext

from aiohttp import web

from meltemi.chunks.blob import Buffer
from meltemi.errors import (
    ConflictError,
    DamageError,
    ForbiddenError,
    GoneError,
    MediaTypeError,
    RefusedError,
    VanishedError,
)
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.region.adoption.front import Front
from meltemi.region.api.conditions import is_known, wants_part
from meltemi.region.api.news import tell_sent
from meltemi.region.api.ranges import asked_range
from meltemi.region.api.wire import STORE
from meltemi.region.background import fetching
from meltemi.region.data.sending import send_file, send_pieces
from meltemi.region.data.uploading import Taking, fill, keep_staged, must_have_formats, take
from meltemi.region.quotas import SIZE, STAGED, mebibytes
from meltemi.region.service import Call

BINARY = "application/octet-stream"


async def upload(call: Call) -> web.Response:
    """Take in an image's data."""
    length = announced(call.request)
    project = call.context.project
    await call.service.quotas.demand(project, SIZE, mebibytes(length or 0))
    record = await fillable(call)
    with call.service.meter.uploads.track_inprogress():
        record = await fill(call.service, record.image, taking_body(call, length), project=project)
    consider(call, record)
    return web.Response(status=204)


def consider(call: Call, record: Record) -> None:
    """Have it found out whether an image that was uploaded can borrow from another region."""
    if call.settings.peers and call.service.front is None:
        considering = call.service.borrower.consider(record, call.context)
        call.service.background.start(considering, fetching(call.context.project))


def taking_body(call: Call, length: int | None) -> Taking:
    """Give what takes in the body of a request, of which `length` bytes were announced."""
    return lambda image: take(call.service, image, body_of(call.request), length)


async def fillable(call: Call) -> Record:
    """Give the image that the path names, if who asks may give it data now."""
    _must_be_a_store(call.request)
    record = await call.image("upload_image")
    must_have_formats(record.image)
    if record.image.status != "queued":
        raise ConflictError(
            f"Image status transition from {record.image.status} to saving is not allowed"
        )
    return record


async def stage(call: Call) -> web.Response:
    """Take in data for an image that is imported later."""
    if "glance-direct" not in call.settings.import_methods:
        raise VanishedError("'glance-direct' method is not available at this site.")
    length = announced(call.request)
    project = call.context.project
    await call.service.quotas.demand(project, STAGED, mebibytes(length or 0))
    record = await call.image("modify_image")
    image = record.image
    if image.status != "queued":
        raise ConflictError(
            f"Image status transition from {image.status} to uploading is not allowed"
        )
    try:
        with call.service.meter.uploads.track_inprogress():
            await keep_staged(call.service, image, taking_body(call, length), project=project)
    except GoneError as error:
        raise VanishedError(f"No image found with ID {image.id}") from error
    return web.Response(status=204)


async def download(call: Call) -> web.StreamResponse:
    """Send an image's data: by the kernel from the copy of a hot image, else from chunks.

    Every piece from chunks is verified on its way. What is not here yet comes through from the
    Glance that is adopted. A client that has the data already is told so.
    """
    record = await downloadable(call)
    image = record.image
    etag = image.hashes.checksum
    if image.has_data and is_known(call.request, etag):
        unchanged = web.Response(status=304)
        unchanged.etag = etag
        return unchanged
    asked = None
    if wants_part(call.request, etag):
        asked = asked_range(call.request.headers, image.size or 0)
    if record.content is None or image.size is None or not image.has_data:
        return web.Response(status=204)
    first, end = asked or (0, image.size)
    response = web.StreamResponse(status=206 if asked else 200)
    response.content_type = BINARY
    response.content_length = end - first
    if etag:
        response.headers["Content-MD5"] = etag
        response.etag = etag
    if asked:
        response.headers["Content-Range"] = f"bytes {first}-{end - 1}/{image.size}"
    if record.is_remote and call.service.front is not None:
        await _send_through(call, call.service.front, response, record, (first, end))
        return response
    if not await _send_stored(call, response, record, (first, end)):
        return await download(call)
    return response


async def _send_stored(
    call: Call, response: web.StreamResponse, record: Record, part: tuple[int, int]
) -> bool:
    """Send what is stored here, or borrowed; say whether the image had that still.

    It has not where it has begun to borrow, and has let go of the whole.
    """
    first, end = part
    content = record.content or ""
    copy = call.service.hot.open(content, record.image.size or 0)
    with copy or nullcontext():
        if copy:
            await response.prepare(call.request)
            try:
                await send_file(call.request, copy, first, end - first)
            except DamageError:
                call.service.hot.is_damaged(content)
                raise
            tell_sent(call, record.image, end - first)
        else:
            pieces = call.service.contents.read(content, first, end - first)
            try:
                await _send_pieces(call, response, record, end - first, pieces)
            except VanishedError:
                if response.prepared or (await call.image()).content == content:
                    raise
                return False
    await response.write_eof()
    return True


async def _send_pieces(
    call: Call,
    response: web.StreamResponse,
    record: Record,
    size: int,
    pieces: AsyncGenerator[Buffer],
) -> None:
    left = size
    whole = size == record.image.size and not record.is_remote

    async def counted(pieces: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        nonlocal left
        async for piece in pieces:
            left -= len(piece)
            if whole and not left:  # before the client has all: then it may go, and this ends
                call.service.hot.was_read(record.content or "")
            yield piece

    try:
        async with aclosing(pieces):
            await send_pieces(call.request, response, counted(pieces), size)
    except VanishedError as error:
        raise VanishedError(f"No image found with ID {record.image.id}") from error
    finally:
        if not left:  # whoever has got all of it may be gone by now
            tell_sent(call, record.image, size)


async def _send_through(
    call: Call, front: Front, response: web.StreamResponse, record: Record, part: tuple[int, int]
) -> None:
    """Send what comes from the Glance; an answer begins once something of it is there."""
    first, end = part
    with front.fetches.joined(record) as fetch:
        await fetch.begun(first)
        await _send_pieces(call, response, record, end - first, fetch.read(first, end))
    await response.write_eof()


async def downloadable(call: Call) -> Record:
    """Give the image that the path names, if who asks may have its data."""
    record = await call.image("download_image")
    must_not_be_withheld(call, record.image)
    return record


def must_not_be_withheld(call: Call, image: Image) -> None:
    """Raise ForbiddenError where an image's data is not given to who asks."""
    if is_withheld(call, image):
        raise ForbiddenError(
            "The requested image has been deactivated. Image data download is forbidden."
        )


def is_withheld(call: Call, image: Image) -> bool:
    """Say whether an image's data is not given to who asks, because it is deactivated."""
    return image.status == "deactivated" and not call.context.is_admin


def announced(request: web.Request) -> int | None:
    """Give the length in bytes that a request announces for its data."""
    if request.headers.get("Content-Type", "").split(";")[0].strip().lower() != BINARY:
        raise MediaTypeError(f"Invalid content type {request.headers.get('Content-Type')}")
    size = announced_size(request)
    return request.content_length if size is None else size


def announced_size(request: web.Request) -> int | None:
    """Give the size in bytes that an image is said to get, where it is said apart."""
    text = request.headers.get("x-openstack-image-size")
    try:
        return None if text is None else int(text)
    except ValueError:
        raise RefusedError("Invalid or missing image size in request headers.") from None


def unknown_store(name: object) -> str:
    """Say that there is no such store, in Glance's words."""
    return f"Store for identifier {name} not found"


async def body_of(request: web.Request) -> AsyncIterator[bytes]:
    """Give a request's body as it comes."""
    async for piece in request.content.iter_any():
        yield piece


def _must_be_a_store(request: web.Request) -> None:
    store = request.headers.get("x-image-meta-store", STORE)
    if store != STORE:
        raise RefusedError(unknown_store(store))

"""Exchange: manifests and pieces of images that are here, parts of those that come, and deltas."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import IO, Any, Final, TypeVar

from aiohttp import web

from meltemi.catalogue.parts import TAKING
from meltemi.chunks.blob import BlobId, Buffer
from meltemi.chunks.exchange import batch as batches
from meltemi.chunks.exchange import delta as deltas
from meltemi.chunks.exchange.delta import Origin, Stretch
from meltemi.chunks.exchange.difference import TOGETHER
from meltemi.chunks.exchange.terms import BINDING, BORROWED
from meltemi.chunks.manifest import LARGEST_DATA
from meltemi.chunks.numbers import put_number
from meltemi.errors import (
    ConflictError,
    MediaTypeError,
    QuotaError,
    RefusedError,
    VanishedError,
)
from meltemi.model.image import Image
from meltemi.model.record import Content, Part, Record, is_borrowed
from meltemi.region.answers import document
from meltemi.region.api import data
from meltemi.region.api.bodies import Answer, bodiless
from meltemi.region.api.conditions import is_known
from meltemi.region.api.editing import FORMATS
from meltemi.region.api.news import tell_active, tell_sent
from meltemi.region.data.assembling import Assembly, Base, Delta
from meltemi.region.data.parts import keep_part
from meltemi.region.data.sending import send_file
from meltemi.region.data.uploading import fill, must_have_hash
from meltemi.region.data.vouching import put_together
from meltemi.region.imports.pulling import terms_of
from meltemi.region.quotas import SIZE, STAGED, mebibytes
from meltemi.region.service import Call

_R = TypeVar("_R", bound=web.StreamResponse)

_HASH: Final = "x-meltemi-hash"
_LONGEST: Final = 4
"""Digits of the number of a part."""

_IMAGE: Final = "/v2/images/{image_id}"
_PART: Final = f"{_IMAGE}/parts/{{number:[0-9]+}}"


async def info(call: Call) -> web.Response:
    """Tell whether and how this region exchanges images."""
    return document({"exchange": asdict(terms_of(call.settings))})


async def manifest(call: Call) -> web.Response:
    """Give the root of an image's manifest, and what is vouched for of its data."""
    return await _given(call, _manifest)


async def _manifest(call: Call, record: Record, content: str) -> web.Response:
    name, response = await _root(call, content)
    if is_borrowed(content):
        response.headers[BORROWED] = "true"
    elif is_known(call.request, name.hex()):
        unchanged = web.Response(status=304)
        unchanged.etag = name.hex()
        return unchanged
    told = await call.catalogue.content(content)
    if binding := call.service.bindings.issue(name, record.image, told):
        response.headers[BINDING] = binding
    return response


async def segments(call: Call) -> web.Response:
    """Give segments of an image's manifest."""
    return await _given(call, lambda call, _, content: _segments(call, content))


async def batch(call: Call) -> web.StreamResponse:
    """Give pieces of an image's data, compressed together."""
    return await _given(call, _batch)


async def _batch(call: Call, record: Record, content: str) -> web.StreamResponse:
    ranges = await _ranges(call, record, batches.LARGEST_BATCH)
    with await call.service.pieces.batch(content, ranges) as file:
        response = web.StreamResponse()
        response.content_type = batches.MEDIA_TYPE
        response.content_length = file.seek(0, 2)
        file.seek(0)
        await response.prepare(call.request)
        await send_file(call.request, file, 0, response.content_length)
        tell_sent(call, record.image, sum(length for _, length in ranges))
        await response.write_eof()
    return response


async def batch_size(call: Call) -> web.Response:
    """Tell how much pieces take, each compressed for itself."""
    return await _given(call, _batch_size)


async def _batch_size(call: Call, record: Record, content: str) -> web.Response:
    ranges = await _ranges(call, record, LARGEST_DATA)
    return document({"bytes": await call.service.pieces.batch_size(content, ranges)})


async def parts(call: Call) -> web.Response:
    """List the parts of an image that waits for its data."""
    record = await _waiting(call)
    found = await call.catalogue.parts(record.image.id)
    return document({"parts": [{"number": part.number, "size": part.size} for part in found]})


async def put_part(call: Call) -> web.Response:
    """Take in a part."""
    if call.request.content_type != batches.MEDIA_TYPE:
        raise MediaTypeError(f"Invalid content type {call.request.content_type}")
    number, record = _number(call), await _waiting(call)
    image, project = record.image, call.context.project
    await call.service.quotas.demand(project, STAGED)
    if any(part.number == number for part in await call.catalogue.parts(image.id)):
        raise ConflictError(f"Image {image.id} has a part {number} already")
    if (call.request.content_length or 0) > batches.LARGEST_FRAME:
        raise QuotaError(f"This is more than {batches.LARGEST_FRAME} bytes, and no batch")
    body = data.body_of(call.request)
    with await call.service.pieces.spool(body, batches.LARGEST_FRAME) as frame:
        await keep_part(call.service, image, number, partial(_unpacked, frame, image), project)
    return web.Response(status=204)


async def part_manifest(call: Call) -> web.Response:
    """Give the root of a part's manifest."""
    _, response = await _root(call, (await _part(call)).content)
    return response


async def part_segments(call: Call) -> web.Response:
    """Give segments of a part's manifest."""
    return await _segments(call, (await _part(call)).content)


async def loan(call: Call) -> web.Response:
    """Tell what an image borrows from another region; null where that is nothing."""
    record = await call.image()
    found = None
    if record.content is not None and is_borrowed(record.content):
        found = await call.service.borrower.loan(record.content)
    if found is None:
        return document({"loan": None})
    return document({"loan": {"region": found.region, "parent": found.parent, "own": found.own}})


async def upload(call: Call) -> web.Response:
    """Give an image its data: as it is, or told by a delta."""
    if call.request.content_type == deltas.MEDIA_TYPE:
        return await _put_together(call)
    return await data.upload(call)


ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/v2/info/exchange", bodiless(info)),
    ("GET", f"{_IMAGE}/manifest", bodiless(manifest)),
    ("POST", f"{_IMAGE}/segments", segments),
    ("POST", f"{_IMAGE}/batch", batch),
    ("POST", f"{_IMAGE}/batch/size", batch_size),
    ("GET", f"{_IMAGE}/loan", bodiless(loan)),
    ("GET", f"{_IMAGE}/parts", bodiless(parts)),
    ("PUT", _PART, put_part),
    ("GET", f"{_PART}/manifest", bodiless(part_manifest)),
    ("POST", f"{_PART}/segments", part_segments),
)


async def _put_together(call: Call) -> web.Response:
    """Put an image together; every base has to be one whose data who asks may download."""
    service, project = call.service, call.context.project
    await service.quotas.demand(project, SIZE)
    record = await data.fillable(call)
    expected = _expected(call)
    delta = await Delta.begun(data.body_of(call.request))
    size = delta.outline.size
    if data.announced_size(call.request) not in (None, size):
        raise RefusedError(f"Image {record.image.id}: its delta tells of {size} bytes")
    if size > call.settings.limits.image_size_cap:
        raise QuotaError(f"The incoming image is too large: {size} bytes")
    bases = [await base_of(call, image) for image in delta.outline.images]
    await service.quotas.demand(project, SIZE, mebibytes(size))
    base = _shared(call, record, await delta.whole(), bases)
    if base is not None:
        # The delta may have taken its time: what counts is who may read the base now.
        base = await base_of(call, base.image.id)
        await must_have_hash(service, record.image.id, base.image.hashes, expected)
        tell_active(service, await call.catalogue.share(record.image.id, base.image.id))
        return web.Response(status=204)
    opened = [
        await Base.opened(service.pieces, f"image {base.image.id}", _content(base))
        for base in bases
    ]
    assembly = Assembly(service, record.image.id, delta.stretches(), opened)
    vouched = service.bindings.believed(
        call.request.headers.get(BINDING), record.image, delta.outline.size
    )

    async def taking(image: Image) -> Content:
        return await put_together(service, image, assembly, size, vouched)

    with service.meter.uploads.track_inprogress():
        made = await fill(service, record.image, taking, project=project, expected=expected)
    data.consider(call, made)
    return web.Response(status=204)


def _shared(
    call: Call, record: Record, whole: Stretch | None, bases: Sequence[Record]
) -> Record | None:
    """Give the base that an image shares all data with, where they are to be the same thing.

    What has no hash of this region's algorithm has to be read.
    """
    if whole is None or whole.origin is not Origin.IMAGE:
        return None
    image, base = record.image, bases[whole.number]
    is_all = (whole.offset, whole.length) == (0, base.image.size)
    alike = all(getattr(image, name) == getattr(base.image, name) for name in FORMATS)
    is_hashed = base.image.hashes.algorithm == call.settings.hashing_algorithm
    return base if is_all and alike and is_hashed else None


async def base_of(call: Call, image: str) -> Record:
    """Give an image that others are to be made of, if who asks may have its data, here."""
    try:
        record = await call.catalogue.get(image, call.context.viewer)
    except VanishedError as error:
        raise VanishedError(f"No image found with ID {image}") from error
    call.demand("download_image", record.image)
    data.must_not_be_withheld(call, record.image)
    _content(record)
    return record


def _unpacked(frame: IO[bytes], image: Image) -> Sequence[Buffer]:
    frame.seek(0)
    try:
        return batches.decode_batch(frame.read())
    except batches.BatchError as error:
        raise RefusedError(f"Image {image.id}: a part: {error}") from error


async def _given(call: Call, answer: Callable[[Call, Record, str], Awaitable[_R]]) -> _R:
    """Give of an image's data, if who asks may have it; its content may be borrowed in part."""
    while True:
        record = await data.downloadable(call)
        content = _some_content(record)
        try:
            return await answer(call, record, content)
        except VanishedError:
            # Where it has begun to borrow meanwhile, it has let go of the whole.
            if (await call.image()).content == content:
                raise


def _some_content(record: Record) -> str:
    """Give the content of an image, of which at least some has to be here."""
    if record.content is None or record.is_remote or not record.image.has_data:
        raise ConflictError(f"Image {record.image.id} has no data here")
    return record.content


def _content(record: Record) -> str:
    """Give the content of an image, all of which has to be here."""
    content = _some_content(record)
    if is_borrowed(content):
        raise ConflictError(f"Image {record.image.id} has only a part of its data here")
    return content


async def _waiting(call: Call) -> Record:
    """Give the image that the path names, if who asks may bring parts of it."""
    record = await call.image("upload_image")
    if record.image.status not in TAKING:
        raise ConflictError(f"Image {record.image.id} is {record.image.status}, and takes no parts")
    return record


def _number(call: Call) -> int:
    """Give the number of a part that the path names, in its only form."""
    text = call.path["number"]
    if len(text) > _LONGEST or text != str(int(text)) or int(text) >= deltas.MOST_PARTS:
        raise VanishedError(f"Image {call.image_id} has no part {text[:_LONGEST]}")
    return int(text)


async def _part(call: Call) -> Part:
    number, record = _number(call), await _waiting(call)
    for part in await call.catalogue.parts(record.image.id):
        if part.number == number:
            return part
    raise VanishedError(f"Image {record.image.id} has no part {number}")


async def _root(call: Call, content: str) -> tuple[BlobId, web.Response]:
    name, root = await call.service.pieces.root(content)
    response = web.Response(body=root, content_type=data.BINARY)
    response.etag = name.hex()
    return name, response


async def _segments(call: Call, content: str) -> web.Response:
    places = _pairs(await call.json(), TOGETHER)
    try:
        found = await call.service.pieces.segments_of(content, places)
    except LookupError as error:
        raise RefusedError(str(error)) from error
    body = bytearray()
    for segment in found:
        put_number(body, len(segment))
        body += segment
    return web.Response(body=bytes(body), content_type=data.BINARY)


async def _ranges(call: Call, record: Record, most: int) -> list[tuple[int, int]]:
    """Read which pieces of an image's data are asked for, together `most` bytes at most."""
    ranges = _pairs(await call.json(), batches.MOST_PIECES)
    size = record.image.size or 0
    for offset, length in ranges:
        if not 0 < length <= batches.LARGEST_PIECE or offset + length > size:
            raise RefusedError(f"There is no piece of {length} bytes at {offset} of {size}")
    if sum(length for _, length in ranges) > most:
        raise RefusedError(f"A batch has at most {most} bytes")
    return ranges


def _pairs(body: Any, most: int) -> list[tuple[int, int]]:
    """Read pairs of numbers, one at least."""
    if not isinstance(body, list) or not 0 < len(body) <= most:
        raise RefusedError(f"The body has to be a list of 1 to {most} pairs of numbers")
    pairs = []
    for pair in body:
        match pair:
            case [int(one), int(two)] if _is_number(one) and _is_number(two):
                pairs.append((one, two))
            case _:
                raise RefusedError("The body has to be a list of pairs of numbers")
    return pairs


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_DATA


def _expected(call: Call) -> str | None:
    """Give the hash that the data has to have, by the region's own algorithm."""
    text = call.request.headers.get(_HASH)
    if text is None:
        return None
    algorithm, _, value = text.partition(":")
    if algorithm != call.settings.hashing_algorithm:
        raise RefusedError(f"{_HASH}: this region computes {call.settings.hashing_algorithm}")
    return value.lower()

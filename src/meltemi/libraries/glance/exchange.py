"""Exchanging images by pieces over HTTP: the requests of docs/exchange.md."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from meltemi.chunks.blob import BlobId, has_name
from meltemi.chunks.exchange.batch import LARGEST_FRAME
from meltemi.chunks.exchange.batch import MEDIA_TYPE as BATCH
from meltemi.chunks.exchange.delta import MEDIA_TYPE as DELTA
from meltemi.chunks.exchange.difference import TOGETHER
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import (
    LARGEST_SEGMENT,
    Holder,
    Sought,
    Spend,
    Top,
    parted,
    root_name,
)
from meltemi.chunks.exchange.terms import BINDING, BORROWED, Terms, read_count, read_terms
from meltemi.chunks.manifest import FormatError, decode_root
from meltemi.errors import (
    ImageError,
    InterruptedTransfer,
    NotALibraryError,
    VanishedError,
)
from meltemi.libraries.exchanging import Loan
from meltemi.libraries.glance.http import GlanceHttp, image_path
from meltemi.libraries.glance.outgoing import Outgoing, watched
from meltemi.model.image import Hashes

_REMEMBERED: Final = 32 * 2**20
"""Bytes of segments that are not asked for again."""


class GlanceExchange:
    """Exchanges with one Image service, if it does; see `Exchange` for what each method keeps."""

    def __init__(self, http: GlanceHttp, silence: float) -> None:
        self._http = http
        self._silence = silence
        self._terms: Terms | None = None
        self._remembered = _Remembered(_REMEMBERED)

    async def terms(self) -> Terms | None:
        """Ask once what the service says of itself; a Glance has no such path."""
        if self._terms is None:
            about = "asking how it exchanges images"
            try:
                body = await self._http.request("GET", "/v2/info/exchange", about)
                with self._http.understanding(about):
                    self._terms = read_terms(body["exchange"])
            except (ImageError, NotALibraryError):
                return None
        return self._terms

    async def root(self, holder: Holder, unless: BlobId | None = None) -> Top | None:
        """Get the root of a manifest, held against its name."""
        about = f"the manifest of {_called(holder)}"
        known = None if unless is None else unless.hex()
        data, headers = await self._http.fetch(
            "GET", _path(holder, "manifest"), about, largest=LARGEST_SEGMENT, unless=known
        )
        if unless is not None and not data:
            return None
        name = root_name(data, headers.get("ETag", ""))
        if name is None:
            raise self._altered(about)
        try:
            return Top(name, decode_root(data), headers.get(BINDING), BORROWED in headers)
        except FormatError as error:
            raise NotALibraryError(f"{self._http.name}: {about}: {error}") from error

    async def segments(self, holder: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Ask for segments that are not remembered, and hold each against its name."""
        found = {one.name: self._remembered.get(one.name) for one in sought}
        missing = [one for one in sought if found[one.name] is None]
        if missing:
            about = f"segments of {_called(holder)}"
            data, _ = await self._http.fetch(
                "POST",
                _path(holder, "segments"),
                about,
                body=[list(one.place) for one in missing],
                largest=TOGETHER * LARGEST_SEGMENT,
            )
            with self._http.understanding(about):
                read = parted(data, len(missing))
            for one, came in zip(missing, read, strict=True):
                if not has_name(came, one.name):
                    raise self._altered(about)
                self._remembered.put(one.name, came)
                found[one.name] = came
        return [segment for one in sought if (segment := found[one.name]) is not None]

    async def batch(self, image_id: str, spans: Sequence[Span], spend: Spend) -> bytes:
        """Ask for pieces; what comes is passed on unopened, and judged by whoever gets it."""
        about = f"pieces of image {image_id}"
        path, body = image_path(image_id, "batch"), _listed(spans)
        data, _ = await self._http.fetch(
            "POST", path, about, body=body, largest=LARGEST_FRAME, repeatable=False, spend=spend
        )
        return data

    async def batch_size(self, image_id: str, spans: Sequence[Span]) -> int:
        """Ask what pieces take."""
        about = f"the size of pieces of image {image_id}"
        path = image_path(image_id, "batch", "size")
        body = await self._http.request("POST", path, about, body=_listed(spans))
        with self._http.understanding(about):
            return read_count(body["bytes"])

    async def loan(self, image_id: str) -> Loan | None:
        """Ask what an image borrows; regions of older releases borrow nothing."""
        about = f"what image {image_id} borrows"
        try:
            body = await self._http.request("GET", image_path(image_id, "loan"), about)
        except VanishedError:
            return None
        with self._http.understanding(about):
            if (told := body["loan"]) is None:
                return None
            return Loan(str(told["region"]), str(told["parent"]), read_count(told["own"]))

    async def parts(self, image_id: str) -> Mapping[int, int]:
        """Ask which parts are there."""
        about = f"the parts of image {image_id}"
        body = await self._http.request("GET", image_path(image_id, "parts"), about)
        with self._http.understanding(about):
            return {read_count(part["number"]): read_count(part["size"]) for part in body["parts"]}

    async def put_part(self, image_id: str, number: int, batch: bytes) -> None:
        """Send a batch."""
        about = f"sending pieces of image {image_id}"
        await self._http.put(image_path(image_id, "parts", number), about, batch, BATCH)

    async def put_together(
        self,
        image_id: str,
        size: int,
        hashes: Hashes,
        delta: AsyncIterator[bytes],
        binding: str | None = None,
    ) -> None:
        """Send a delta, and wait for what becomes of it as long as the image is being saved."""
        about = f"putting image {image_id} together"
        headers = {"Content-Type": DELTA, "x-openstack-image-size": str(size)}
        terms = await self.terms()
        if hashes.value and terms is not None and hashes.algorithm == terms.hash:
            headers["x-meltemi-hash"] = f"{hashes.algorithm}:{hashes.value}"
        if binding is not None:
            headers[BINDING] = binding
        source = Outgoing(delta, None, about)
        path = image_path(image_id, "file")
        sending = self._http.send(path, about, headers, source, patient=True)

        async def is_saved() -> bool:
            image = await self._http.request("GET", image_path(image_id), f"image {image_id}")
            with self._http.understanding(about):
                return bool(image["status"] == "saving")

        name = self._http.name
        await watched(
            sending,
            source,
            silence=self._silence,
            about=f"{name}: {about}",
            library=name,
            is_at_work=is_saved,
        )

    def _altered(self, about: str) -> InterruptedTransfer:
        return InterruptedTransfer(f"{self._http.name}: {about}: it was altered on its way")


class _Remembered:
    """The segments that were used last, by name."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._segments: OrderedDict[BlobId, bytes] = OrderedDict()

    def get(self, name: BlobId) -> bytes | None:
        if name in self._segments:
            self._segments.move_to_end(name)
        return self._segments.get(name)

    def put(self, name: BlobId, segment: bytes) -> None:
        if name not in self._segments:
            self._segments[name] = segment
            self._left -= len(segment)
        while self._left < 0:
            self._left += len(self._segments.popitem(last=False)[1])


def _path(holder: Holder, what: str) -> str:
    if holder.part is None:
        return image_path(holder.image_id, what)
    return image_path(holder.image_id, "parts", holder.part, what)


def _called(holder: Holder) -> str:
    return f"{'' if holder.part is None else f'part {holder.part} of '}image {holder.image_id}"


def _listed(spans: Sequence[Span]) -> list[list[int]]:
    return [list(span) for span in spans]

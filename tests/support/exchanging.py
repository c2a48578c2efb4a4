"""A plain client of what regions exchange: manifests, batches, parts and deltas."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from http.client import HTTPConnection
from typing import Any, Final

from meltemi.chunks.cut import Cut, Cutter
from meltemi.chunks.exchange.batch import decode_batch, encode_batch
from meltemi.chunks.manifest import Entry, Root, Segment, decode_root, decode_segment
from meltemi.chunks.numbers import take_number
from tests.support.glance import Place, RefusedError

BATCH: Final = "application/vnd.meltemi.batch"
DELTA: Final = "application/vnd.meltemi.delta"

Line = Sequence[int | str]
"""A stretch, as a line of a delta has it."""


def pieces(data: bytes) -> list[bytes]:
    """Cut data as a region does; zeros among it come as pieces, too."""
    cutter = Cutter(Cut.CONTENT)
    cutter.hold(data)
    found = [*cutter.cut(), *cutter.finish()]
    return [bytes(one.length) if one.data is None else bytes(one.data) for one in found]


def delta(size: int, images: Sequence[str], lines: Iterable[Line]) -> bytes:
    """Write a delta, as anybody might who has read what one is."""
    first = {"format": 1, "size": size, "images": list(images)}
    return b"".join(json.dumps(line).encode() + b"\n" for line in (first, *lines))


def sha512(data: bytes) -> str:
    """Give the hash that data is announced with."""
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


class Exchange:
    """One region, as one of its users exchanges images with it."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def root(self, image: str, part: int | None = None) -> Root:
        """Read the root of the manifest of an image, or of a part of one."""
        return decode_root(self.place.request("GET", f"{_path(image, part)}/manifest"))

    def segments(
        self, image: str, places: Sequence[Sequence[int]], part: int | None = None
    ) -> list[Segment]:
        """Read segments."""
        answer = self._post(f"{_path(image, part)}/segments", places)
        found, at = [], 0
        while at < len(answer):
            length, at = take_number(answer, at)
            found.append(decode_segment(answer[at : at + length]))
            at += length
        return found

    def entries(self, image: str, part: int | None = None) -> list[Entry]:
        """Read a manifest to its leaves, one segment after another."""
        found: list[Entry] = []

        def descend(segment: Segment, at: int) -> None:
            found.extend(segment.entries)
            for child in segment.children:
                [below] = self.segments(image, [[segment.level - 1, at]], part)
                descend(below, at)
                at += child.length

        descend(self.root(image, part).top, 0)
        return found

    def batch(self, image: str, ranges: Sequence[Sequence[int]]) -> list[bytes]:
        """Fetch pieces of data."""
        return [bytes(one) for one in decode_batch(self._post(f"{_path(image)}/batch", ranges))]

    def batch_size(self, image: str, ranges: Sequence[Sequence[int]]) -> int:
        """Ask what pieces take."""
        size: int = json.loads(self._post(f"{_path(image)}/batch/size", ranges))["bytes"]
        return size

    def parts(self, image: str) -> dict[int, int]:
        """List parts: their sizes by their numbers."""
        found = self.place.call("GET", f"{_path(image)}/parts")["parts"]
        return {part["number"]: part["size"] for part in found}

    def put_part(self, image: str, number: int, data: Sequence[bytes] | bytes) -> None:
        """Send pieces as a part, or bytes in place of a batch."""
        body = data if isinstance(data, bytes) else encode_batch(data)
        self.place.request("PUT", _path(image, number), body, BATCH)

    def put(self, image: str, body: bytes, **headers: str) -> None:
        """Send a delta; raise RefusedError where the answer is an error."""
        connection = HTTPConnection("127.0.0.1", self.place.port, timeout=300)
        try:
            given = {**self.place.headers, "Content-Type": DELTA, **headers}
            connection.request("PUT", f"{_path(image)}/file", body, given)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 204:
            raise RefusedError(response.status, answer.decode())

    def _post(self, path: str, body: Any) -> bytes:
        return self.place.request("POST", path, json.dumps(body).encode(), "application/json")


def _path(image: str, part: int | None = None) -> str:
    path = f"/v2/images/{image}"
    return path if part is None else f"{path}/parts/{part}"

"""A library in memory that behaves as Glance does, and in which anything can be made to happen.

For what real services cannot be brought to do, or only slowly: to fail at a given byte, to stop
and wait, to act and lose the answer, to send other bytes than their hash says, to list in
disorder. It records what it served and every state that every image was ever in.
"""

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from meltemi.errors import ConflictError, ForbiddenError, InterruptedTransfer, VanishedError
from meltemi.libraries.base import Changes
from meltemi.libraries.finding import Sought
from meltemi.model.image import Hashes, Image, Member

NOW = "2026-01-02T03:04:05Z"
_BASE = frozenset(Image("").attributes())


class EndedEarlyError(Exception):
    """Ends a reading without an error, as a connection does that is closed in good order."""


def full_hashes(data: bytes) -> Hashes:
    """Record what a present-day Glance records."""
    return Hashes(
        hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha512",
        hashlib.sha512(data).hexdigest(),
    )


def old_hashes(data: bytes) -> Hashes:
    """Record md5 alone, as Glance did before Rocky."""
    return Hashes(checksum=hashlib.md5(data, usedforsecurity=False).hexdigest())


def no_hashes(_: bytes) -> Hashes:
    """Record nothing, as for images that Ceph made of a snapshot."""
    return Hashes()


@dataclass(eq=False, slots=True)
class Fault:
    """Something that happens at a request, the next `times` times.

    `at` is a byte of a read or an upload, None the request's beginning, or, with `after`, its
    end, when it has taken effect. The request waits for `go` and raises `error` where there is
    one; `reached` tells that it is there.
    """

    request: str
    error: Exception | None = None
    image_id: str | None = None
    at: int | None = None
    after: bool = False
    times: int = 1
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, request: str, image_id: str) -> bool:
        """Say whether this is about that request."""
        return self.times > 0 and self.request == request and self.image_id in (None, image_id)

    async def happen(self) -> None:
        """Let it happen."""
        self.times -= 1
        self.reached.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error


@dataclass(slots=True)
class _Entry:
    image: Image
    data: bytes | None = None
    members: dict[str, str] = field(default_factory=dict)


class MemoryLibrary:
    """Images in memory; see `Library` for what each method keeps.

    `admin` says whether these credentials may do everything. `record` gives the hashes to record
    of data. `page` is how many images make a page, `piece` how many bytes are read at once.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        project: str | None = "operators",
        keeps_owners: bool = False,
        admin: bool = True,
        record: Callable[[bytes], Hashes] = full_hashes,
        page: int = 3,
        piece: int = 1 << 16,
    ) -> None:
        self.name = name
        self.identity = f"memory://{name}"
        self.project = project
        self.keeps_owners = keeps_owners
        self.admin = admin
        self.record = record
        self.page = page
        self.piece = piece
        self.lies: dict[str, bytes] = {}
        """What a read gives instead of the image's data."""
        self.stores: Callable[[bytes], bytes] = bytes
        """What the storage makes of the data that it is given."""
        self.order: Callable[[list[Image]], list[Image]] | None = None
        """How the listing is ordered instead."""
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.served: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        """The most bytes that an upload of the image brought so far."""
        self.states: dict[str, list[Image]] = defaultdict(list)
        self.burnt: set[str] = set()
        self.closed = False
        self._entries: dict[str, _Entry] = {}

    # What a test says and asks

    def fail(self, request: str, error: Exception, **when: Any) -> Fault:
        """Let a request fail; see `Fault`."""
        fault = Fault(request, error, **when)
        fault.go.set()
        self.faults.append(fault)
        return fault

    def hold(self, request: str, **when: Any) -> Fault:
        """Let a request wait until the fault's `go` is set; see `Fault`."""
        fault = Fault(request, **when)
        self.faults.append(fault)
        return fault

    def put(self, data: bytes | None = b"data", **attributes: Any) -> Image:
        """Put an image there, with its data where there is any."""
        image = Image(
            **{
                "id": str(uuid4()),
                "name": "image",
                "owner": self.project,
                "disk_format": "raw",
                "container_format": "bare",
                "created_at": NOW,
                "updated_at": NOW,
                **attributes,
            }
        )
        if data is not None:
            size, hashes = len(data), self.record(data)
            known: dict[str, Any] = {"status": "active", "size": size, "hashes": hashes}
            image = replace(image, **{**known, **attributes})
        entry = self._entries[image.id] = _Entry(image, data)
        self._set(entry)
        return image

    def edit(self, image_id: str, **attributes: Any) -> Image:
        """Change an image as its operator would."""
        return self._set(self._entries[image_id], **attributes)

    def share(self, image_id: str, **statuses: str) -> None:
        """Set the members of an image, by project."""
        self._entries[image_id].members = dict(statuses)

    def remove(self, image_id: str) -> None:
        """Delete an image as its operator would."""
        del self._entries[image_id]
        self.burnt.add(image_id)

    @property
    def images(self) -> dict[str, Image]:
        """Give all images by their ids."""
        return {image_id: entry.image for image_id, entry in self._entries.items()}

    def data(self, image_id: str) -> bytes | None:
        """Give the data of an image, None where it has none."""
        return self._entries[image_id].data

    def members(self, image_id: str) -> dict[str, str]:
        """Give the members of an image: their statuses by project."""
        return self._entries[image_id].members

    def count(self, request: str) -> int:
        """Count the requests of one kind."""
        return sum(kind == request for kind, _ in self.requests)

    # What a library does

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every visible image once."""
        await self._begin("list", "")
        images = [entry.image for entry in self._entries.values() if self._sees(entry)]
        images.sort(key=lambda image: image.id)
        if self.order is not None:
            images = self.order(images)
        for start in range(0, len(images), self.page):
            await self._meet("list", "", start)
            yield images[start : start + self.page]

    async def find(self, sought: Sought) -> list[Image]:
        """Give what fits of the images that are visible."""
        await self._begin("find", "")
        return [
            entry.image
            for entry in self._entries.values()
            if self._sees(entry) and sought.fits(entry.image)
        ]

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        await self._begin("show", image_id)
        return self._find(image_id).image

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give the members of an image."""
        await self._begin("members", image_id)
        members = self._shared(image_id).members
        return tuple(Member(project, members[project]) for project in sorted(members))

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give an image's data."""
        await self._begin("read", image_id)
        entry = self._find(image_id)
        if entry.image.status == "deactivated" and not self.admin:
            raise ForbiddenError(f"{self.name}: image {image_id} is deactivated")
        data = self.lies.get(image_id, entry.data)
        if data is None:
            raise VanishedError(f"{self.name}: image {image_id} has no data")
        position = offset
        while position < len(data):
            piece = data[position : position + self._room("read", image_id, position)]
            if piece:
                self.served[image_id] += len(piece)
                position += len(piece)
                yield piece
            try:
                await self._meet("read", image_id, position)
            except EndedEarlyError:
                return
            self._find(image_id)

    async def create(self, image: Image) -> Image:
        """Register an image."""
        image_id = image.id or str(uuid4())
        await self._begin("create", image_id)
        if image_id in self._entries or image_id in self.burnt:
            raise ConflictError(f"{self.name}: the id {image_id} is in use or was used")
        owner = image.owner if self.keeps_owners else image.owner or self.project
        if not self.admin and (owner != self.project or image.visibility == "public"):
            raise ForbiddenError(f"{self.name}: not for a member: {owner}, {image.visibility}")
        entry = self._entries[image_id] = _Entry(image)
        created = self._set(
            entry,
            id=image_id,
            owner=owner,
            status="queued",
            size=None,
            virtual_size=None,
            hashes=Hashes(),
            created_at=NOW,
            properties=dict(image.properties),
        )
        await self._meet("create", image_id, after=True)
        return created

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Take an image's data."""
        await self._begin("upload", image_id)
        entry = self._find(image_id)
        if entry.image.status != "queued":
            raise ConflictError(f"{self.name}: image {image_id} is {entry.image.status}")
        self._set(entry, status="saving")
        received = bytearray()
        try:
            async for piece in data:
                await self._meet("upload", image_id, len(received) + len(piece))
                received += piece
                self.taken[image_id] = max(self.taken[image_id], len(received))
            if len(received) != size:
                raise InterruptedTransfer(  # noqa: TRY301 - as a broken stream
                    f"{self.name}: {len(received)} of {size} bytes came"
                )
        except BaseException:
            if self._entries.get(image_id) is entry:
                self._set(entry, status="queued")
            raise
        self._find(image_id)
        entry.data = self.stores(bytes(received))
        hashes = self.record(entry.data)
        self._set(entry, status="active", size=len(entry.data), hashes=hashes)
        await self._meet("upload", image_id, after=True)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Change an image, wholly or not at all."""
        await self._begin("update", image_id)
        entry = self._find(image_id)
        image = entry.image
        base = {name: value for name, value in changes.set.items() if name in _BASE}
        free = {name: value for name, value in changes.set.items() if name not in _BASE}
        if "status" in base and not image.has_data:
            raise ForbiddenError(f"{self.name}: image {image_id} is {image.status}")
        if base.get("visibility") == "public" and not self.admin:
            raise ForbiddenError(f"{self.name}: image {image_id}: public is not for a member")
        if missing := changes.remove - image.properties.keys():
            raise ConflictError(f"{self.name}: image {image_id} has no {', '.join(missing)}")
        kept = {k: v for k, v in image.properties.items() if k not in changes.remove}
        after = self._set(entry, **base, properties={**kept, **free})
        await self._meet("update", image_id, after=True)
        return after

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer an image."""
        await self._begin("add_member", image_id)
        entry = self._shared(image_id)
        entry.members[member.id] = member.status
        await self._meet("add_member", image_id, after=True)

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw the offer."""
        await self._begin("remove_member", image_id)
        self._shared(image_id).members.pop(project, None)

    async def delete(self, image_id: str) -> None:
        """Delete an image and burn its id."""
        await self._begin("delete", image_id)
        if self._find(image_id).image.protected:
            raise ForbiddenError(f"{self.name}: image {image_id} is protected")
        self.remove(image_id)
        await self._meet("delete", image_id, after=True)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _set(self, entry: _Entry, **attributes: Any) -> Image:
        image = replace(entry.image, **{"updated_at": NOW, **attributes})
        entry.image = replace(image, properties=MappingProxyType(dict(image.properties)))
        self.states[entry.image.id].append(entry.image)
        return entry.image

    def _sees(self, entry: _Entry) -> bool:
        image = entry.image
        ours = image.owner == self.project or self.project in entry.members
        return self.admin or ours or image.visibility in ("public", "community")

    def _find(self, image_id: str) -> _Entry:
        entry = self._entries.get(image_id)
        if entry is None or not self._sees(entry):
            raise VanishedError(f"{self.name}: no image {image_id}")
        return entry

    def _shared(self, image_id: str) -> _Entry:
        entry = self._find(image_id)
        if entry.image.visibility != "shared" and not self.keeps_owners:
            raise ForbiddenError(f"{self.name}: image {image_id} is {entry.image.visibility}")
        return entry

    async def _begin(self, request: str, image_id: str) -> None:
        self.requests.append((request, image_id))
        await asyncio.sleep(0)
        for fault in self.faults:
            if fault.at is None and not fault.after and fault.fits(request, image_id):
                await fault.happen()

    async def _meet(
        self, request: str, image_id: str, position: int = 0, *, after: bool = False
    ) -> None:
        await asyncio.sleep(0)
        for fault in self.faults:
            there = fault.after if after else fault.at is not None and fault.at <= position
            if there and fault.after == after and fault.fits(request, image_id):
                await fault.happen()

    def _room(self, request: str, image_id: str, position: int) -> int:
        """Give how many bytes may pass until something happens."""
        ends = [
            fault.at - position
            for fault in self.faults
            if fault.fits(request, image_id) and fault.at is not None and fault.at >= position
        ]
        return min([self.piece, *ends])

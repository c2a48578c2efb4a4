"""Reading an image's data so that nothing false can get through.

The data is hashed as it flows. Its last block is given only once the hash of everything agrees
with what the source recorded; a consumer that never gets the last block never completes.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, Self

import stamina

from meltemi.errors import (
    CorruptionError,
    ImageError,
    InterruptedTransfer,
    SilentError,
    UnreachableError,
    is_passing,
)
from meltemi.libraries.base import Library
from meltemi.model.image import Hashes, Image
from meltemi.replication.limits import Throttle

_PAUSE_SECONDS: Final = 0.2
"""Between a break and going on, so that a source that breaks all the time is not stormed."""

_ATTEMPTS: Final = 6
_ALGORITHMS: Final = {a for a in hashlib.algorithms_guaranteed if not a.startswith("shake_")}
"""Those that hash to a fixed length, on every machine."""

_hashers: Executor = ThreadPoolExecutor(thread_name_prefix="hash")


class HashState(Protocol):
    """A hash under way, as hashlib has them."""

    @property
    def name(self) -> str:
        """Name the algorithm."""
        ...

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        ...

    def copy(self) -> Self:
        """Split the state off."""
        ...

    def hexdigest(self) -> str:
        """Give the hash of what was taken in."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """A part of an image and the state of the hash before it, from which one may read on.

    Its pieces are left as they came: to join them would be to copy all data once more.
    """

    pieces: tuple[bytes, ...]
    size: int
    before: asyncio.Future[HashState]


def start_hash(hashes: Hashes) -> HashState:
    """Begin the hash that the source recorded: its multihash, else md5, else sha512."""
    if hashes.value and hashes.algorithm and hashes.algorithm in _ALGORITHMS:
        return hashlib.new(hashes.algorithm)
    return hashlib.new("md5" if hashes.checksum else "sha512", usedforsecurity=False)


@dataclass(slots=True)
class Reading:
    """One image to be read from one source, by whom it may concern.

    `block` is the least size of all blocks but the last; `computed` holds the hash of the data
    once all of it has been read.
    """

    source: Library
    image: Image
    throttle: Throttle
    block: int
    computed: Hashes | None = None

    async def blocks(
        self, offset: int = 0, state: HashState | None = None
    ) -> AsyncGenerator[Block]:
        """Give the data from `offset` on in blocks; `state` is the hash of what lies before.

        Raise CorruptionError where the source's bytes do not have the source's hash,
        VanishedError where the image is gone, ImageError where it cannot be read on.
        """
        loop = asyncio.get_running_loop()
        state = state or start_hash(self.image.hashes)
        size = self.image.size or 0
        hashed: asyncio.Future[HashState] | None = None
        async for pieces in self._exactly(offset, size):
            if hashed is not None:
                await hashed
            length = sum(map(len, pieces))
            offset += length
            hashed = loop.run_in_executor(_hashers, _step, state, pieces)
            if offset == size:
                await hashed
                self._verify(state)
            yield Block(pieces, length, hashed)
        if not size:
            self._verify(state)

    def _verify(self, state: HashState) -> None:
        recorded, found = self.image.hashes, state.hexdigest()
        if state.name == "md5":
            self.computed = Hashes(checksum=found)
        else:
            self.computed = Hashes(algorithm=state.name, value=found)
        if recorded.agree(self.computed) is False:
            raise CorruptionError(
                f"{self.source.name}: image {self.image.label}: its data has {state.name} "
                f"{found[:16]}…, not the one on record; nothing was made active: "
                "mend or delete it there"
            )

    async def _exactly(self, offset: int, size: int) -> AsyncIterator[tuple[bytes, ...]]:
        """Cut the stream into blocks, and read on by range where a connection broke."""
        cutter = _Cutter(offset, size, self.block)
        silences = 0
        # That there is nothing is also the source's word only, and looked at.
        unread = cutter.position < size or not size

        def again(error: Exception) -> bool:
            # One connection may be dead while the service is alive, two hardly.
            return is_passing(error) or (isinstance(error, SilentError) and silences == 1)

        while unread:
            async for attempt in stamina.retry_context(on=again, attempts=_ATTEMPTS, timeout=None):
                with attempt:
                    before = cutter.received
                    try:
                        async for block in self._stream(cutter):
                            yield block
                    except (InterruptedTransfer, UnreachableError) as error:
                        silences += isinstance(error, SilentError)
                        if cutter.received > before and again(error):
                            await asyncio.sleep(_PAUSE_SECONDS)
                            continue
                        if attempt.num == _ATTEMPTS and isinstance(error, InterruptedTransfer):
                            # No upload that starts anew would get any further.
                            raise ImageError(str(error)) from error
                        raise
            unread = cutter.position < size

    async def _stream(self, cutter: "_Cutter") -> AsyncIterator[tuple[bytes, ...]]:
        label = f"{self.source.name}: image {self.image.label}"
        stream = self.source.read(self.image.id, cutter.received)
        try:
            async for piece in stream:
                if cutter.received + len(piece) > cutter.size:
                    raise CorruptionError(f"{label}: it has more than its {cutter.size} bytes")
                await self.throttle.spend(len(piece))
                if (block := cutter.feed(piece)) is not None:
                    yield block
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # every library's read generates
        if cutter.received < cutter.size:
            raise InterruptedTransfer(
                f"{label}: its data ends after {cutter.received} of {cutter.size} bytes"
            )


class _Cutter:
    """Gathers pieces of any size into blocks."""

    def __init__(self, offset: int, size: int, block: int) -> None:
        self.size = size
        self._block = block
        self.received = offset
        self.position = offset
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, piece: bytes) -> tuple[bytes, ...] | None:
        """Take a piece; give those of a block where one is full or the image is complete."""
        self._pieces.append(piece)
        self._held += len(piece)
        self.received += len(piece)
        if self._held < self._block and self.received < self.size:
            return None
        block = tuple(self._pieces)
        self.position += self._held
        self._pieces, self._held = [], 0
        return block


def _step(state: HashState, pieces: Iterable[bytes]) -> HashState:
    before = state.copy()
    for piece in pieces:
        state.update(piece)
    return before

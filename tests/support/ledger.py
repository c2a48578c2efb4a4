"""What a region must hold whatever has happened: all that it acknowledged, and nothing else.

A `Ledger` takes down what was asked of a region and what was answered; a `Crowd` asks.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import CONFLICT, INTERNAL_SERVER_ERROR, HTTPException
from random import Random
from types import TracebackType
from typing import Final, Self, TypeVar
from uuid import uuid4

from tests.support.glance import Json, Place, RefusedError, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually

_T = TypeVar("_T")

_UNFINISHED: Final = {"saving", "uploading", "importing"}
_PIECES: Final = 12
"""Different pieces of data, so that images share some of them."""

_PIECE: Final = 150_000


@dataclass
class Fate:
    """What may have become of an image: one thing of each, once all was answered.

    No data is the empty bytes: nobody uploads those here.
    """

    there: set[bool] = field(default_factory=lambda: {False})
    names: set[str] = field(default_factory=set)
    data: set[bytes] = field(default_factory=lambda: {b""})


class Ledger:
    """What was asked about images and what was answered; no two threads ask about the same."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}

    def create(self, place: Place, name: str) -> str:
        """Make an image without data, and give its id."""
        image = str(uuid4())
        fate = self.fates[image] = Fate(names={name})
        with _doubting(fate.there, True):
            place.put(name, None, id=image)
        return image

    def upload(self, place: Place, image: str, data: bytes) -> None:
        """Send an image's data."""
        with _doubting(self.fates[image].data, data):
            place.upload(image, data)

    def rename(self, place: Place, image: str, name: str) -> None:
        """Give an image another name."""
        with _doubting(self.fates[image].names, name):
            place.change(image, name=name)

    def delete(self, place: Place, image: str) -> None:
        """Delete an image."""
        with _doubting(self.fates[image].there, False):
            place.delete(image)

    def read(self, place: Place, image: str) -> bytes:
        """Read an image's data, which has to be what it can be."""
        data = place.data(image)
        assert data in self.fates[image].data, f"image {image}: {len(data)} bytes that are not its"
        return data

    def see(self, *places: Place) -> None:
        """See that each of these has what was acknowledged, and nothing else, once all is done."""
        for place in places:
            eventually(partial(_is_settled, place))
            found = {image["id"]: image for image in place.images()}
            assert found.keys() <= self.fates.keys()
            for image, fate in self.fates.items():
                assert (image in found) in fate.there, f"image {image}: {fate.there}"
                if image in found:
                    assert found[image]["name"] in fate.names
                    self._see_data(place, found[image])

    def _see_data(self, place: Place, shown: Json) -> None:
        data = self.read(place, shown["id"])
        told = tuple(shown[key] for key in ("status", "size", "checksum", "os_hash_value"))
        if data:
            hashes = hashlib.md5(data).hexdigest(), hashlib.sha512(data).hexdigest()
            assert told == ("active", len(data), *hashes)
        else:
            assert told == ("queued", None, None, None)


class Crowd:
    """People who use regions, each one of them, until the end of a `with` block."""

    def __init__(self, ledger: Ledger, places: Sequence[Place]) -> None:
        self.refusals: Counter[int] = Counter()
        """How often each status came that is an error."""
        self.done: Counter[str] = Counter()
        """How often each thing was acknowledged, or `broken` by a connection that ended."""
        self._ledger = ledger
        self._stop = threading.Event()
        self._wrong: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._live, args=(place, number), name=f"user {number}")
            for number, place in enumerate(places)
        ]

    def waits_for(self, count: int, what: str) -> None:
        """Wait until they have got so much more done, as `upload`."""
        self._waits(lambda: self.done[what], count)

    def waits_for_refusals(self, count: int, status: int) -> None:
        """Wait until they were refused so much more often."""
        self._waits(lambda: self.refusals[status], count)

    def _waits(self, counted: Callable[[], int], count: int) -> None:
        until = counted() + count
        eventually(lambda: counted() >= until or bool(self._wrong))
        self._tell()

    def _live(self, place: Place, number: int) -> None:
        user = _User(self._ledger, place, number)
        while not self._stop.is_set():
            try:
                self.done[user.act()] += 1
            except RefusedError as error:
                self.refusals[error.status] += 1
                self._stop.wait(0.05)
            except (OSError, HTTPException):
                self.done["broken"] += 1
                self._stop.wait(0.05)
            except Exception as error:  # noqa: BLE001 - told to who waits
                self._wrong.append(error)
                return

    def _tell(self) -> None:
        if self._wrong:
            raise self._wrong[0]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            self._tell()


class _User:
    """One of them, with images of their own."""

    def __init__(self, ledger: Ledger, place: Place, number: int) -> None:
        self._ledger = ledger
        self._place = place
        self._chance = Random(number)
        self._full: list[str] = []
        self._empty: list[str] = []
        self._acts: dict[str, Callable[[], None]] = {
            "create": self._create,
            "upload": self._upload,
            "break off": self._break_off,
            "read": self._read,
            "rename": self._rename,
            "delete": self._delete,
            "list": lambda: self._place.call("GET", "/v2/images?limit=5"),
        }

    def act(self) -> str:
        """Do something, and say what it was."""
        what = self._chance.choices([*self._acts], [4, 6, 1, 3, 1, 2, 1])[0]
        self._acts[what]()
        return what

    def _create(self) -> None:
        self._empty.append(self._ledger.create(self._place, f"image {len(self._empty)}"))

    def _upload(self) -> None:
        if not self._empty:
            self._create()
        image = self._chance.choice(self._empty)
        try:
            self._ledger.upload(self._place, image, self._some_data())
        except RefusedError as error:
            if error.status == CONFLICT:
                # It is filled, or not given back yet, after a request whose answer did not come.
                self._empty.remove(image)
            raise
        self._empty.remove(image)
        self._full.append(image)

    def _break_off(self) -> None:
        if self._empty:
            data = self._some_data()
            with Upload(self._place, self._chance.choice(self._empty), len(data)) as upload:
                upload.send(data[: self._chance.randrange(len(data))])

    def _read(self) -> None:
        if self._full:
            self._ledger.read(self._place, self._chance.choice(self._full))

    def _rename(self) -> None:
        if self._full:
            name = f"another {self._chance.random()}"
            self._ledger.rename(self._place, self._chance.choice(self._full), name)

    def _delete(self) -> None:
        if len(self._full) > 2:
            image = self._full.pop(self._chance.randrange(len(self._full)))
            self._ledger.delete(self._place, image)

    def _some_data(self) -> bytes:
        pieces = [self._chance.randrange(_PIECES) for _ in range(self._chance.randrange(1, 20))]
        shared = b"".join(some_data(1000 + piece, _PIECE) for piece in pieces)
        return shared + self._chance.randbytes(self._chance.randrange(1, 2 * _PIECE))


def _is_settled(place: Place) -> bool:
    return _UNFINISHED.isdisjoint(place.statuses().values())


@contextmanager
def _doubting(possible: set[_T], wanted: _T) -> Iterator[None]:
    """Hold what was wanted for possible, until it is acknowledged or refused for good."""
    before = set(possible)
    possible.add(wanted)
    try:
        yield
    except RefusedError as error:
        if error.status < INTERNAL_SERVER_ERROR:
            possible.intersection_update(before)
        raise
    possible.intersection_update({wanted})

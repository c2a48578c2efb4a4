"""The `where` of a selection: one expression in CEL (https://cel.dev), asked per image.

Nothing in it is ever evaluated as Python. An evaluation cannot be interrupted, so an expression
is bounded before it meets an image: by its length, by its loops, and by the time that a sample
image takes.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from time import thread_time
from typing import Final

from meltemi.model.image import Hashes, Image
from meltemi.replication.expression import Expression, explain, raise_unless_cel

MAX_SECONDS: Final = 0.01
"""Of one evaluation; a costly regular expression, which is compiled anew for every image."""

_SAMPLE: Final = Image(
    id="7a1b8f0e-5f5b-4b1d-9b2f-0d6f3f0f9d11",
    name="sample",
    status="active",
    visibility="public",
    owner="5a0f1e1c6c7f4c55a9f4f4c1f0a3c9d2",
    size=2**30,
    virtual_size=2**32,
    hashes=Hashes(checksum="d41d8cd98f00b204e9800998ecf8427e"),
    disk_format="qcow2",
    container_format="bare",
    min_disk=10,
    min_ram=512,
    tags=frozenset({"sample"}),
    created_at="2024-01-01T00:00:00Z",
    updated_at="2024-01-02T00:00:00Z",
)


FAILED: Final = "where failed"
"""How the reason begins where a condition could not be told of an image."""


class Where:
    """A compiled expression; raise UsageError for one that cannot work on any image.

    `now` is an aware time.
    """

    def __init__(self, text: str, now: datetime) -> None:
        readers = _readers(now)
        self._now = now
        self._expression = Expression(text, readers)
        asked = self._expression.asked
        # To convert an attribute for CEL costs more than to evaluate most expressions.
        self._readers = [
            (name, read) for name, read in readers.items() if asked is None or name in asked
        ]
        self._try_out()

    def rejects(self, image: Image) -> str | None:
        """Say why the image is not carried; None where the expression is true of it."""
        try:
            holds = self._ask(image)
        except BaseException as error:  # noqa: BLE001 - a Rust panic is no Exception
            raise_unless_cel(error)
            return f"{FAILED}: {explain(error)}"
        if isinstance(holds, bool):
            return None if holds else "where is false"
        return f"{FAILED}: {_not_boolean(holds)}"

    def _ask(self, image: Image) -> object:
        values = {name: read(image) for name, read in self._readers}
        holds: object = self._expression.program.execute({"image": values, "now": self._now})
        return holds

    def _try_out(self) -> None:
        seconds = self._time_sample()
        if seconds > MAX_SECONDS:
            # The first time may have paid for something that later ones do not.
            seconds = self._time_sample()
        if seconds > MAX_SECONDS:
            self._expression.refuse(f"too slow, {seconds * 1000:.0f} ms an image")

    def _time_sample(self) -> float:
        start = thread_time()
        try:
            holds = self._ask(_SAMPLE)
        except (LookupError, ArithmeticError):
            # These depend on an image's values: a property that it lacks, a division by zero.
            holds = True
        except BaseException as error:  # noqa: BLE001 - a Rust panic is no Exception
            raise_unless_cel(error)
            self._expression.refuse(explain(error))
        if not isinstance(holds, bool):
            self._expression.refuse(_not_boolean(holds))
        return thread_time() - start


def parse_time(text: str | None) -> datetime | None:
    """Read a time of the Image API, UTC where it names no zone; None where it is none."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def age(image: Image, now: datetime) -> timedelta | None:
    """Give the time since an image was created; None where that is not known."""
    created = parse_time(image.created_at)
    return None if created is None else now - created


def _readers(now: datetime) -> dict[str, Callable[[Image], object]]:
    plain = (
        *("id", "name", "status", "visibility", "owner", "size", "virtual_size", "disk_format"),
        *("container_format", "min_disk", "min_ram", "protected"),
    )
    return {
        **{name: attrgetter(name) for name in plain},
        "checksum": attrgetter("hashes.checksum"),
        "hidden": attrgetter("os_hidden"),
        "tags": lambda image: sorted(image.tags),
        "properties": lambda image: dict(image.properties),
        "created_at": lambda image: parse_time(image.created_at),
        "updated_at": lambda image: parse_time(image.updated_at),
        "age": lambda image: age(image, now),
    }


def _not_boolean(value: object) -> str:
    return f"it gives {value!r:.60}, not true or false"

"""What a region records of an image beyond what the API shows."""

from dataclasses import dataclass
from typing import Final

from meltemi.model.image import Hashes, Image

UNINSPECTED: Final = ""
"""In place of a binding: nobody has inspected the data for this region."""

REMOTE: Final = "remote/"
"""How the ids of contents begin whose data is not here, but at the Glance that is adopted."""

BORROWED: Final = "/borrowed/"
"""What the ids of contents have in them of which a part is in another region."""


@dataclass(frozen=True, slots=True)
class Content:
    """Data that images have: the name of its head in the chunk store, and what was computed of it.

    Images share one content where one was cloned from the other. `size` and `virtual_size`, which
    a disk format may give, are in bytes. `binding` is the signed word of another region on which
    all of it rests, None where it was computed and inspected here.
    """

    id: str
    size: int
    hashes: Hashes
    virtual_size: int | None = None
    binding: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Data that came in advance for an image: its number, its content's id, its size in bytes."""

    number: int
    content: str
    size: int


@dataclass(frozen=True, slots=True)
class Loan:
    """What a content borrows: from an image at a region, which is held there in another, `hold`.

    `source` is the content that all of the data was in at first, `content` what it has become, and
    `own` the bytes that this takes, compressed; None where that has not come about yet.
    """

    hold: str
    region: str
    parent: str
    source: str
    content: str | None = None
    own: int | None = None


def is_borrowed(content: str) -> bool:
    """Say whether a part of a content is in another region."""
    return BORROWED in content


@dataclass(frozen=True, slots=True)
class Record:
    """An image as its region holds it.

    `content` is the id of its data, where it has any. `version` grows with every change, so that a
    change can be refused that was decided on an older state.
    """

    image: Image
    content: str | None = None
    version: int = 0

    @property
    def is_remote(self) -> bool:
        """Say whether the image's data is still at the Glance that is adopted."""
        return self.content is not None and self.content.startswith(REMOTE)

"""What Image services tell over the message bus, and what it means."""

import re
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

_ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")

_OF_IMAGES: Final = frozenset({"image.update", "image.activate", "image.delete"})
"""A new image has no data yet that could be copied, and what comes with its data is followed by one
of these (`image.update` once it is kept)."""

_OF_MEMBERS: Final = frozenset(
    {"image.member.create", "image.member.update", "image.member.delete"}
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something about an image of a library has changed; of any image, where `image` is None.

    `gone` says that the image may not be there any more, which matters where it is a replica.
    """

    library: str
    image: str | None = None
    gone: bool = False


def read_event(library: str, event_type: object, payload: Any) -> Event | None:
    """Read a notification of the Image service of a library; None where it is about nothing here.

    Whoever reaches the bus may have sent it: nothing of it is believed but which image to look at.
    """
    if not isinstance(event_type, str):
        return None
    if event_type in _OF_IMAGES:
        key = "id"
    elif event_type in _OF_MEMBERS:
        key = "image_id"
    else:
        return None
    image = payload.get(key) if isinstance(payload, dict) else None
    if not is_image_id(image):
        return None
    return Event(library, image, gone=event_type == "image.delete")


def is_image_id(value: object) -> TypeGuard[str]:
    """Say whether something can be the id of an image."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None

"""What owners of images choose: regions that an image names, and what they are told of them."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from meltemi.model.image import Image

REGIONS: Final = "meltemi_regions"
"""The property in which an owner names regions, with commas between them."""

MOST_NAMES: Final = 1024
"""Names that are read: whoever owns an image may write whatever he likes, as long as he likes."""

LONGEST_STATUS: Final = 255
_LONGEST_READ: Final = 256
_LONGEST_NAME: Final = 40
_MORE: Final = "and {} more"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_.-]")


def wishes(image: Image) -> tuple[str, ...]:
    """Give the names that an image's owner lists, each once, as they were first written.

    What comes behind MOST_NAMES is one more name, which means nothing.
    """
    text = image.properties.get(REGIONS)
    if not text:
        return ()
    names = (" ".join(name[:_LONGEST_READ].split()) for name in text.split(",", MOST_NAMES))
    first: dict[str, str] = {}
    for name in names:
        if name:
            first.setdefault(name.lower(), name)
    return tuple(first.values())


def status_text(answers: Iterable[tuple[str, str]]) -> str:
    """Tell an owner what became of each region, in at most LONGEST_STATUS plain characters.

    What has no room is counted. Names are what anybody wrote, so only plain ones are repeated.
    """
    parts = [f"{_plain(name)}: {answer}" for name, answer in answers]
    kept: list[str] = []
    for place, part in enumerate(parts):
        left = len(parts) - place - 1
        more = [_MORE.format(left)] if left else []
        if len("; ".join([*kept, part, *more])) > LONGEST_STATUS:
            return "; ".join([*kept, _MORE.format(len(parts) - place)])
        kept.append(part)
    return "; ".join(kept)


def share(quota: int, taken: int, coming: Sequence[Image]) -> tuple[list[Image], list[Image]]:
    """Part images into those that fit into what is left of a quota, in bytes, and the others.

    The oldest come first, whatever order they are given in.
    """
    fitting: list[Image] = []
    others: list[Image] = []
    for image in sorted(coming, key=lambda one: (one.created_at or "", one.id)):
        size = image.size or 0
        fits = taken + size <= quota
        taken += size if fits else 0
        (fitting if fits else others).append(image)
    return fitting, others


def _plain(name: str) -> str:
    """Give a name that can stand in any property, and in a line of text."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
    return _UNFIT.sub("?", short)

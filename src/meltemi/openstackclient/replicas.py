"""Replicas of images, as a daemon tells of them, or else the images themselves."""

from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from meltemi.model.choosing import REGIONS
from meltemi.model.image import STATUS
from meltemi.openstackclient.replication import Placement, Replication

UNANSWERED: Final = "not answered yet"
_UNDER_WAY: Final = ("queued", "copying", "updating", "failed", "to be removed", UNANSWERED)


class Prospect(Enum):
    """What can be expected of a replica."""

    READY = auto()
    COMING = auto()
    """By itself, sooner or later: what failed is tried again."""

    REFUSED = auto()
    """Not until somebody does something."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What is known of an image in a region.

    `placement` is what a daemon says, if there is one to ask; `chosen` says that the image's owner
    has listed the region.
    """

    image: str
    name: str | None
    region: str
    chosen: bool
    status: str
    placement: Placement | None = None

    @property
    def since(self) -> str | None:
        """Give the time since when it is so, where that is known."""
        return self.placement["since"] if self.placement else None

    @property
    def prospect(self) -> Prospect:
        """Say what can be expected."""
        if self.placement is not None:
            observed = self.placement["observed"] if self.placement["wanted"] else ""
            known = {"ready": Prospect.READY, "conflict": Prospect.REFUSED}
            return known.get(observed, Prospect.COMING)
        if self.status == "ready":
            return Prospect.READY
        return Prospect.COMING if self.status.startswith(_UNDER_WAY) else Prospect.REFUSED


def named(text: str | None) -> list[str]:
    """Give the regions that an owner lists, each once."""
    first: dict[str, str] = {}
    for name in map(str.strip, (text or "").split(",")):
        if name:
            first.setdefault(name.casefold(), name)
    return list(first.values())


def answered(text: str | None) -> dict[str, str]:
    """Give what an owner has been told, by region; what was only counted is not there."""
    parts = (part.partition(": ") for part in (text or "").split("; "))
    return {region: answer for region, separator, answer in parts if separator}


def replicas_of(
    image: str, name: str | None, properties: Mapping[str, Any], placements: Iterable[Placement]
) -> Iterator[Replica]:
    """Give the replicas of one image, by region.

    A placement counts where it is wanted; of others the image may say why they are not.
    """
    chosen = {region.casefold(): region for region in named(properties.get(REGIONS))}
    answers = {
        key.casefold(): (key, said) for key, said in answered(properties.get(STATUS)).items()
    }
    told = {region.casefold(): UNANSWERED for region in chosen}
    regions = dict(chosen)
    for key, (region, answer) in answers.items():
        told[key] = answer
        regions.setdefault(key, region)
    found = []
    for one in placements:
        key = one["library"].casefold()
        regions[key] = one["library"]
        if one["wanted"] or key not in answers:
            told.pop(key, None)
            status = one["status"] if one["wanted"] else f"{one['status']}, not wanted"
            found.append(Replica(image, name, one["library"], key in chosen, status, one))
    found += [
        Replica(image, name, regions[key], key in chosen, answer) for key, answer in told.items()
    ]
    yield from sorted(found, key=lambda one: one.region)


def find_replicas(clients: Any, image: str) -> Sequence[Replica]:
    """Give the replicas of one image, by its id or name, of all that is known of it."""
    found = clients.image.find_image(image, ignore_missing=False)
    replication: Replication | None = clients.image_replica
    placements = replication.placements(found.id) if replication else []
    return list(replicas_of(found.id, found.name, found.properties, placements))


def all_replicas(clients: Any) -> Iterator[Replica]:
    """Give the replicas of all images that the user may see, by image."""
    replication: Replication | None = clients.image_replica
    by_image: dict[str, list[Placement]] = {}
    for one in replication.placements() if replication else []:
        by_image.setdefault(one["image"], []).append(one)
    for found in clients.image.images(limit=1000):
        placements = by_image.pop(found.id, [])
        yield from replicas_of(found.id, found.name, found.properties, placements)
    for image, placements in by_image.items():
        yield from replicas_of(image, placements[0]["name"], {}, placements)


def in_region(replicas: Iterable[Replica], region: str) -> list[Replica]:
    """Give those in one region."""
    return [one for one in replicas if one.region.casefold() == region.casefold()]


def checked_region(text: str) -> str:
    """Take a region from a command line; raise ArgumentTypeError where it cannot be one."""
    if named(text) != [text]:
        raise ArgumentTypeError(f"{text!r} is no name of a region")
    return text


def add_regions(parser: Any, *, required: bool) -> None:
    """Declare `--region`, which may be given several times."""
    parser.add_argument(
        "--region",
        dest="regions",
        metavar="<region>",
        action="append",
        type=checked_region,
        required=required,
        help="Region (repeat option for several)",
    )

"""Words of command lines that many tests say."""

from tests.support.glance import Service

Pair = tuple[Service, Service]


def livecopy(places: Pair, name: str, *more: str) -> tuple[str, ...]:
    """Copy the images whose names begin with `name` from one service to another."""
    source, target = places
    return ("livecopy", source.address, target.address, "--match", f"name={name}*", *more)


def livecopy_regions(name: str, *more: str) -> tuple[str, ...]:
    """Copy the images whose names begin with `name` from one region to the other, as `admin`."""
    return ("livecopy", "admin:RegionOne", "admin:RegionTwo", "--match", f"name={name}*", *more)

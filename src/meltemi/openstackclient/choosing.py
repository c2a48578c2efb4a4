"""`openstack image replica set` and `unset`: owners choose the regions of their images."""

import argparse
from collections.abc import Sequence
from typing import Any, Final

from openstack.exceptions import raise_from_response
from osc_lib.command.command import Command

from meltemi.model.choosing import REGIONS
from meltemi.openstackclient.replicas import add_regions, named

_PATCH: Final = "application/openstack-images-v2.1-json-patch"


class SetReplicas(Command):
    """Have an image in more regions."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Declare the arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", help="Image of yours (name or ID)")
        add_regions(parser, required=True)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Add the regions to those that the image lists."""
        _choose(self.app.client_manager, parsed_args.image, add=parsed_args.regions)


class UnsetReplicas(Command):
    """Have an image in fewer regions: its replicas there are removed."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Declare the arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", help="Image of yours (name or ID)")
        which = parser.add_mutually_exclusive_group(required=True)
        add_regions(which, required=False)
        which.add_argument("--all", action="store_true", help="Have it in no other region")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Take the regions out of those that the image lists."""
        remove = None if parsed_args.all else parsed_args.regions
        _choose(self.app.client_manager, parsed_args.image, remove=remove)


def _choose(
    clients: Any, image: str, *, add: Sequence[str] = (), remove: Sequence[str] | None = ()
) -> None:
    """Change what an image lists; `remove` is None for all of it."""
    found = clients.image.find_image(image, ignore_missing=False)
    old = found.properties.get(REGIONS)
    gone = {region.casefold() for region in (named(old) if remove is None else remove)}
    left = [region for region in named(old) if region.casefold() not in gone]
    new = ",".join(named(",".join([*left, *add])))
    if new == (old or ""):
        return
    change = {"op": "add", "value": new} if new else {"op": "remove"}
    # Not by the client's `update_image`, which replaces whatever else it takes for changed.
    answer = clients.image.patch(
        f"/images/{found.id}",
        json=[{**change, "path": f"/{REGIONS}"}],
        headers={"Content-Type": _PATCH, "Accept": ""},
    )
    raise_from_response(answer)

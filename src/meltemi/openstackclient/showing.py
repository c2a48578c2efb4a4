"""`openstack image replica list` and `show`."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any, Final

from osc_lib.command.command import Lister, ShowOne
from osc_lib.exceptions import CommandError

from meltemi.openstackclient.replicas import Replica, all_replicas, find_replicas, in_region

_COLUMNS: Final = ("Image ID", "Image Name", "Region", "Status", "Since")
_OF_PLACEMENT: Final = (
    *("source", "route", "wanted", "observed", "detail", "since", "behind", "late"),
    *("size", "done", "total", "attempts", "due", "target_id"),
)


class ListReplicas(Lister):
    """List in which regions an image is, and what becomes of it in others."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Declare the arguments."""
        parser = super().get_parser(prog_name)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("image", metavar="<image>", nargs="?", help="Image (name or ID)")
        which.add_argument("--all", action="store_true", help="List the replicas of all images")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Give the rows."""
        clients = self.app.client_manager
        found: Iterable[Replica]
        if parsed_args.all:
            found = all_replicas(clients)
        else:
            found = find_replicas(clients, parsed_args.image)
        rows = ((one.image, one.name, one.region, one.status, one.since) for one in found)
        return _COLUMNS, rows


class ShowReplica(ShowOne):
    """Show what is known of an image in a region."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Declare the arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", help="Image (name or ID)")
        parser.add_argument("region", metavar="<region>", help="Region")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Give the fields."""
        replicas = find_replicas(self.app.client_manager, parsed_args.image)
        found = in_region(replicas, parsed_args.region)
        if not found:
            raise CommandError(
                f"image {parsed_args.image} is not in {parsed_args.region}, "
                "and nobody asks for it there"
            )
        # Where it comes from several sources, the one counts from which its owner chooses.
        shown = max(found, key=lambda one: one.chosen)
        fields = {
            "image_id": shown.image,
            "image_name": shown.name,
            "region": shown.region,
            "chosen": shown.chosen,
            "status": shown.status,
        }
        if shown.placement is not None:
            fields |= {key: shown.placement[key] for key in _OF_PLACEMENT}
        return tuple(fields), tuple(fields.values())

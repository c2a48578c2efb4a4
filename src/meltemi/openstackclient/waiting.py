"""`openstack image replica wait`."""

import argparse
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from osc_lib.command.command import Command
from osc_lib.exceptions import CommandError

from meltemi.errors import UsageError
from meltemi.model.units import format_duration, parse_duration
from meltemi.openstackclient.replicas import (
    UNANSWERED,
    Prospect,
    Replica,
    add_regions,
    find_replicas,
    in_region,
)

TOO_LATE: Final = 1
REFUSED: Final = 3
_LOOK_SECONDS: Final = 2.0


class WaitForReplicas(Command):
    """Wait until an image is ready in regions.

    The exit code is 0 once it is ready in all of them, 3 as soon as it will not be in one until
    somebody does something, and 1 when the time is over, or whoever knows cannot be asked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Declare the arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", help="Image (name or ID)")
        add_regions(parser, required=True)
        parser.add_argument(
            "--timeout",
            metavar="<duration>",
            type=_duration,
            default=timedelta(hours=1),
            help="How long, in seconds or as 30m (default: 1h)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Look every two seconds; give the exit code."""
        image, patience = parsed_args.image, parsed_args.timeout
        end = time.monotonic() + patience.total_seconds()
        said = ""
        while True:
            try:
                replicas = self._look(image, parsed_args.regions)
                told = ", ".join(f"{one.region} {one.status}" for one in replicas)
            except CommandError as error:
                if not said:
                    raise
                replicas, told = [], str(error)
            if told != said:
                self.app.stderr.write(f"{image}: {told}\n")
                said = told
            prospects = {one.prospect for one in replicas}
            if prospects == {Prospect.READY}:
                return 0
            if Prospect.REFUSED in prospects:
                return REFUSED
            if (left := end - time.monotonic()) <= 0:
                spent = format_duration(patience)
                self.app.stderr.write(f"{image}: not ready after {spent}: {told}\n")
                return TOO_LATE
            time.sleep(min(_LOOK_SECONDS, left))

    def _look(self, image: str, regions: Sequence[str]) -> list[Replica]:
        replicas = find_replicas(self.app.client_manager, image)
        return [
            one
            for region in regions
            for one in in_region(replicas, region) or [_unknown(image, region)]
        ]


def _unknown(image: str, region: str) -> Replica:
    return Replica(image, None, region, chosen=False, status=UNANSWERED)


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

"""What python-openstackclient asks of a plugin: its name, its options, how its client is made."""

import argparse
from typing import Any, Final

from osc_lib import utils

from meltemi.openstackclient.replication import ENDPOINT, SERVICE_TYPE, Replication

API_NAME: Final = "image_replica"
API_VERSION_OPTION: Final = "os_image_replica_api_version"
API_VERSIONS: Final = ("1",)
DEFAULT_API_VERSION: Final = "1"

_VARIABLE: Final = f"OS_{ENDPOINT.upper()}"


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the plugin's options to those of every command."""
    parser.add_argument(
        f"--os-{ENDPOINT.replace('_', '-')}",
        metavar="<url>",
        default=utils.env(_VARIABLE),
        help=f"Where Meltemi's daemon answers, default: the catalog's service of the type "
        f"{SERVICE_TYPE} (Env: {_VARIABLE})",
    )
    return parser


def make_client(instance: Any) -> Replication | None:
    """Give what asks a daemon, with the user's own token; None where no daemon is known."""
    instance.setup_auth()
    settings = instance.sdk_connection.config
    given = [settings.config.get(key) for key in (f"{ENDPOINT}_override", ENDPOINT)]
    url = next(filter(None, given), None) or settings.get_endpoint_from_catalog(SERVICE_TYPE)
    return Replication(instance.session, url) if url else None

"""Asks a daemon's API which images are where, as the user of the OpenStack client."""

from collections.abc import Mapping
from typing import Any, Final

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session
from osc_lib.exceptions import CommandError

SERVICE_TYPE: Final = "image-replication"
ENDPOINT: Final = "image_replication_endpoint"
"""The key of clouds.yaml that says where the daemon answers, and the name of the option."""

_SILENCE_SECONDS: Final = 30
_NOT_FOUND: Final = 404

Placement = Mapping[str, Any]
"""A placement as docs/daemon-openapi.yaml has it."""


class Replication:
    """One daemon, and a session of somebody whom Keystone knows."""

    def __init__(self, session: Session, url: str) -> None:
        self._url = url
        self._http = Adapter(session, endpoint_override=url)

    def placements(self, image: str | None = None) -> list[Placement]:
        """Give what the user may see of an image, by its id, or of all.

        Raise CommandError where the daemon is away, or does not let the user ask.
        """
        path = f"/v1/placements?limit=1000{f'&image={image}' if image else ''}"
        found: list[Placement] = []
        try:
            while path:
                page = self._http.get(path, timeout=_SILENCE_SECONDS).json()
                found += page["placements"]
                path = page["next"]
        except exceptions.HttpError as error:
            if image and error.http_status == _NOT_FOUND:
                return []
            raise CommandError(f"{self._url}: {error.message}") from error
        except exceptions.ClientException as error:
            raise CommandError(f"{self._url}: no daemon answers: {_cause(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(
                f"{self._url}: something answers, but it is no daemon of Meltemi"
            ) from error
        return found


def _cause(error: BaseException) -> str:
    """Say what the layers below were told first, without what each of them adds."""
    while below := error.__cause__ or error.__context__:
        error = below
    return (isinstance(error, OSError) and error.strerror) or str(error)

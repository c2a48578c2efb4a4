"""Who asks, and on whose behalf: what a region knows of the sender of a request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from uuid import uuid4

from meltemi.model.listing import Viewer

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Context:
    """The sender of one request.

    Users, projects and domains are ids. At most one of `project`, `domain` and `system_scope` is
    set: a token speaks for one of them, or for none. Roles are in lower case. What begins with
    `service_` is of the service that passes the user's request on. `token` is the user's own, for
    calls that are made in the user's name.
    """

    user: str | None = None
    user_domain: str | None = None
    project: str | None = None
    project_domain: str | None = None
    domain: str | None = None
    system_scope: str | None = None
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    is_admin_project: bool = True
    service_user: str | None = None
    service_user_domain: str | None = None
    service_project: str | None = None
    service_project_domain: str | None = None
    service_roles: frozenset[str] = frozenset()
    request_id: str = field(default_factory=lambda: f"req-{uuid4()}")
    token: str | None = field(default=None, repr=False)

    @property
    def is_service(self) -> bool:
        """Say whether another service of the cloud vouches for the request."""
        return bool(self.service_roles)

    @property
    def viewer(self) -> Viewer:
        """Give the eyes with which the sender looks into the catalogue."""
        return Viewer(self.project, self.is_admin)

    @cached_property
    def credentials(self) -> Mapping[str, object]:
        """Give what policies may ask about the sender, under OpenStack's names."""
        return {
            "user_id": self.user,
            "user_domain_id": self.user_domain,
            "project_id": self.project,
            "project_domain_id": self.project_domain,
            "domain_id": self.domain,
            "system_scope": self.system_scope,
            "roles": self.roles,
            "is_admin_project": self.is_admin_project,
            "service_user_id": self.service_user,
            "service_user_domain_id": self.service_user_domain,
            "service_project_id": self.service_project,
            "service_project_domain_id": self.service_project_domain,
            "service_roles": self.service_roles,
        }


def request_id(headers: Mapping[str, str]) -> str:
    """Give the id that a request brings along, or a new one.

    One that is longer than 64 characters, or could do harm in a log, is not taken.
    """
    brought = headers.get("X-OpenStack-Request-ID", "")
    return brought if _REQUEST_ID.fullmatch(brought) else f"req-{uuid4()}"

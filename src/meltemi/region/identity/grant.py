"""What Keystone says of a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom a token speaks for, with which roles, and until when (seconds since 1970)."""

    ends: float
    user: str
    user_domain: str | None = None
    project: str | None = None
    project_domain: str | None = None
    domain: str | None = None
    system_scope: str | None = None
    roles: frozenset[str] = frozenset()
    is_admin_project: bool = True


def parse_grant(document: Mapping[str, Any]) -> Grant:
    """Read the body of an answer to `GET /v3/auth/tokens`.

    Raise KeyError, TypeError, AttributeError or ValueError where it is no such body.
    """
    token = document["token"]
    user = token["user"]
    project: Mapping[str, Any] = token.get("project") or {}
    return Grant(
        ends=datetime.fromisoformat(token["expires_at"]).timestamp(),
        user=user["id"],
        user_domain=_id(user.get("domain")),
        project=_id(project),
        project_domain=_id(project.get("domain")),
        domain=_id(token.get("domain")),
        system_scope="all" if (token.get("system") or {}).get("all") else None,
        # Glance has always compared roles without regard to case.
        roles=frozenset(role["name"].lower() for role in token.get("roles", ())),
        is_admin_project=bool(token.get("is_admin_project", True)),
    )


def _id(thing: Mapping[str, Any] | None) -> str | None:
    return (thing or {}).get("id")

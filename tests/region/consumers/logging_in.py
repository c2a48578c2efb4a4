"""What both Nova and Cinder need before they can ask: a user's token, and the cloud's catalogue."""

from collections.abc import Callable
from typing import Any

from keystoneauth1.identity import v3
from keystoneauth1.session import Session

Facts = dict[str, Any]


def logged_in(where: Facts, user: str) -> Facts:
    """Give what keystonemiddleware tells a service of a user's request."""
    auth = v3.Password(
        auth_url=where["auth_url"],
        username=user,
        password=where["password"],
        project_name=user,
        user_domain_id="default",
        project_domain_id="default",
    )
    access = auth.get_access(Session())
    return {
        "user_id": access.user_id,
        "project_id": access.project_id,
        "auth_token": access.auth_token,
        "roles": list(access.role_names or ()),
        "service_catalog": [_as_before(service) for service in access.service_catalog.catalog],
    }


def refused(call: Callable[..., object], *words: object, **more: object) -> str:
    """Name the error that something ends with; fail where there is none."""
    try:
        call(*words, **more)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return type(error).__name__
    raise AssertionError(f"{call} was not refused")


def _as_before(service: Facts) -> Facts:
    """Give a service of the catalogue in the form of the Identity API v2."""
    regions: dict[str, Facts] = {}
    for endpoint in service["endpoints"]:
        region = regions.setdefault(endpoint["region"], {"region": endpoint["region"]})
        region[f"{endpoint['interface']}URL"] = endpoint["url"]
    return {"type": service["type"], "name": service["name"], "endpoints": [*regions.values()]}

"""Unified limits: quotas that Keystone keeps and Glance enforces."""

from collections.abc import Mapping

from lab.keystone import Keystone
from lab.wsgi import Settings

# What Glance asks for; sizes in MiB. A limit that is not registered counts as 0.
_PLENTY = {
    "image_count_total": 1_000_000,
    "image_count_uploading": 1_000_000,
    "image_size_total": 1_000_000,
    "image_stage_total": 1_000_000,
}


def settings(keystone: Keystone, region: str) -> Settings:
    """Return what makes Glance ask that Keystone for limits."""
    return {
        "DEFAULT": {"use_keystone_limits": True},
        "oslo_limit": {
            **account(keystone),
            "auth_type": "password",
            "endpoint_service_type": "image",
            "endpoint_region_name": region,
            "endpoint_interface": "public",
        },
    }


def account(keystone: Keystone) -> dict[str, str]:
    """Return how an account logs in at Keystone that is told limits, as keystoneauth has it."""
    return {
        "auth_url": keystone.url,
        "username": keystone.service_user,
        "password": keystone.password,
        "user_domain_id": "default",
        "system_scope": "all",
    }


def register(keystone: Keystone, region: str, limits: Mapping[str, int]) -> None:
    """Set what each project may use in a region; what is not named is plenty."""
    service = keystone.ensure("service", "glance", {"type": "image"})
    user = keystone.ensure("user", keystone.service_user, {})
    reader = keystone.ensure("role", "reader", {})
    keystone.call("PUT", f"/system/users/{user}/roles/{reader}")
    where = {"service_id": service, "region_id": region}
    made = [
        {**where, "resource_name": name, "default_limit": limit}
        for name, limit in (_PLENTY | dict(limits)).items()
    ]
    keystone.call("POST", "/registered_limits", {"registered_limits": made})


def grant(keystone: Keystone, region: str, project: str, limits: Mapping[str, int]) -> None:
    """Set what one project, by its id, may use in a region, in place of what is registered."""
    service = keystone.ensure("service", "glance", {"type": "image"})
    where = {"service_id": service, "region_id": region, "project_id": project}
    query = f"?service_id={service}&region_id={region}&project_id={project}"
    known = {
        one["resource_name"]: one["id"] for one in keystone.call("GET", f"/limits{query}")["limits"]
    }
    for name, limit in limits.items():
        if name in known:
            changed = {"limit": {"resource_limit": limit}}
            keystone.call("PATCH", f"/limits/{known[name]}", changed)
        else:
            made = {**where, "resource_name": name, "resource_limit": limit}
            keystone.call("POST", "/limits", {"limits": [made]})

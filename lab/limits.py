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
            "auth_type": "password",
            "auth_url": keystone.url,
            "username": keystone.service_user,
            "password": keystone.password,
            "user_domain_id": "default",
            "system_scope": "all",
            "endpoint_service_type": "image",
            "endpoint_region_name": region,
            "endpoint_interface": "public",
        },
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

"""How an image's metadata changes on its way: what is carried, and as what."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from meltemi.model.image import Image, Member
from meltemi.model.provenance import PREFIX
from meltemi.model.route import OnConflict, Policy

GLANCES_OWN: Final = ("os_glance_", PREFIX)
"""Prefixes of properties that are never carried."""

SECRETS: Final[Mapping[str, str]] = {
    "img_signature_certificate_uuid": "img_signature_certificate_uuid",
    "cinder_encryption_key_id": "cinder_encryption_key_id",
    "cinder_encryption_key_deletion_policy": "cinder_encryption_key_id",
    "os_encrypt_key_id": "os_encrypt_key_id",
    "os_encrypt_key_deletion_policy": "os_encrypt_key_id",
}
"""Properties that are worth something in one key manager only, and the id they depend on."""

_DEFAULTS: Final[Mapping[str, Any]] = {
    "name": None,
    "visibility": "private",
    "min_disk": 0,
    "min_ram": 0,
    "protected": False,
    "os_hidden": False,
    "tags": frozenset(),
}
"""What an attribute is where it is left behind."""

_NARROW_TO_WIDE: Final = ("private", "shared", "community", "public")

BOOT_FILES: Final = ("kernel_id", "ramdisk_id")
"""Properties that name other images."""


def map_image(image: Image, policy: Policy, project: str | None, *, keep_owner: bool) -> Image:
    """Give the image as it should stand at a target whose own project is `project`.

    With `keep_owner`, as in an archive, ids of secrets stay too: it may be all that is left.
    """
    if keep_owner:
        owner, visibility = image.owner, image.visibility
    else:
        owner = map_project(image.owner, policy, project)
        visibility = policy.visibility or image.visibility
    dropped = {name: _DEFAULTS[name] for name in policy.drop & _DEFAULTS.keys()}
    properties = _map_properties(image, policy, keep_secrets=keep_owner)
    fields = {"owner": owner, "visibility": visibility, "properties": properties, **dropped}
    return replace(image, **fields)


def map_project(owner: str | None, policy: Policy, default: str | None) -> str | None:
    """Map a project by the route's table; `*` stands for any project, and for its own id."""
    mapped = policy.owners.get(owner or "") or (policy.owners.get("*") if owner else None)
    if mapped is None:
        return default
    return owner if mapped == "*" else mapped


def map_members(members: tuple[Member, ...], policy: Policy) -> tuple[Member, ...]:
    """Map the projects that an image is shared with; those not in the table keep their ids."""
    mapped = (replace(m, id=map_project(m.id, policy, m.id) or m.id) for m in members)
    return tuple({member.id: member for member in mapped}.values())


def narrower(one: str, other: str) -> str:
    """Give the one of two visibilities that lets fewer see an image."""
    return min(one, other, key=lambda v: _NARROW_TO_WIDE.index(v) if v in _NARROW_TO_WIDE else -1)


def companion_policy(policy: Policy, image: Image) -> Policy:
    """Give the policy for an image that comes along only since a selected one boots with it.

    Nobody chose it, so it is never made visible to more than at the source, and never takes the
    place of another.
    """
    visibility = policy.visibility and narrower(policy.visibility, image.visibility)
    replaces = policy.on_conflict is OnConflict.REPLACE
    on_conflict = OnConflict.RENAME if replaces else policy.on_conflict
    return replace(policy, visibility=visibility, on_conflict=on_conflict)


def boot_files(image: Image) -> tuple[str, ...]:
    """Name the kernel and ramdisk images that an image needs."""
    return tuple(image.properties[name] for name in BOOT_FILES if image.properties.get(name))


def with_boot_files(image: Image, ids: Mapping[str, str]) -> Image:
    """Rewrite the ids of kernel and ramdisk to those that the target gave them."""
    rewritten = {
        name: ids[image.properties[name]]
        for name in BOOT_FILES
        if image.properties.get(name) in ids
    }
    return replace(image, properties={**image.properties, **rewritten}) if rewritten else image


def _map_properties(image: Image, policy: Policy, *, keep_secrets: bool) -> dict[str, str]:
    carried = {}
    for name, value in image.properties.items():
        if name.startswith(GLANCES_OWN) or name in policy.drop:
            continue
        key = None if keep_secrets else SECRETS.get(name)
        if key and not _is_mapped(image, policy, key):
            continue
        table = policy.values.get(name)
        carried[name] = table.get(value, value) if table else value
    return carried


def _is_mapped(image: Image, policy: Policy, name: str) -> bool:
    return image.properties.get(name) in policy.values.get(name, {})

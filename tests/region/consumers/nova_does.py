"""What Nova does with images, by Nova's own code; run by the Python that has it.

Reads in JSON where to do it, prints in JSON what came of it, which must not depend on who serves
the images.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

# Nova's options have to be read before its modules are loaded.
import nova.conf
from logging_in import Facts, logged_in, refused  # type: ignore[import-not-found]
from signing import AUTHORITY, STRANGER, signature_of  # type: ignore[import-not-found]

WHERE = json.load(sys.stdin)
FOLDER = Path(WHERE["folder"])
nova.conf.CONF(["--config-file", str(FOLDER / "nova.conf")], project="nova", version="test")

from nova import objects  # noqa: E402
from nova.compute import utils as compute  # noqa: E402
from nova.context import RequestContext  # noqa: E402
from nova.image.glance import (  # noqa: E402
    API,
    generate_glance_url,
)
from nova.virt import images  # noqa: E402
from nova.virt.libvirt.driver import (  # noqa: E402
    LibvirtDriver,
)

api = API()
DISK = FOLDER / "disk.raw"
RAW = {"disk_format": "raw", "container_format": "bare"}
SHOWN = ("name", "status", "size", "checksum", "disk_format", "container_format", "min_disk")


def context(user: str) -> Any:
    """Make the context of a user's request, as Nova's middleware does."""
    return RequestContext(**logged_in(WHERE, user), is_admin=user == "boss")


ALICE, BOB, BOSS = context("alice"), context("bob"), context("boss")


def shown(image: Facts) -> Facts:
    """Give what of an image does not depend on when and where it was made."""
    return {
        **{key: image[key] for key in SHOWN},
        "is_public": image.get("is_public"),
        "mine": image["owner"] == ALICE.project_id,
        "properties": {
            key: "an id" if key.endswith(("_id", "_uuid", "_ref")) else value
            for key, value in sorted(image["properties"].items())
            if key not in ("stores", "img_signature")
        },
    }


def url_of(image: str) -> str:
    """Give an image's URL."""
    return f"{generate_glance_url(ALICE).rstrip('/')}/v2/images/{image}"


def hash_of(pieces: Any) -> str:
    """Hash what is read."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """Hash a file, and take it away."""
    found = hash_of([path.read_bytes()])
    path.unlink()
    return found


def created(name: str, file: Path = DISK, properties: Facts | None = None, **more: Any) -> Facts:
    """Let Nova make an image with data."""
    with file.open("rb") as data:
        facts = {"name": name, **RAW, "properties": properties or {}, **more}
        image: Facts = api.create(ALICE, facts, data=data)
    return image


def lives() -> Facts:
    """Make, show, list, change, download and delete an image."""
    image = created("life", properties={"os_distro": "debian", "hw_disk_bus": "scsi"}, min_disk=1)
    identifier = image["id"]
    target = FOLDER / "target"
    told = {
        "made": shown(image),
        "got": shown(api.get(ALICE, identifier)),
        "by url": shown(api.get(ALICE, url_of(identifier))),
        "with locations": api.get(ALICE, identifier, include_locations=True)["locations"],
        "unseen": refused(api.get, BOB, identifier),
        "not deleted by others": refused(api.delete, BOB, identifier),
        "iterated": hash_of(api.download(ALICE, identifier)),
    }
    api.download(ALICE, identifier, dest_path=str(target))
    told["to a path"] = of_file(target)
    with target.open("wb") as file:
        api.download(ALICE, identifier, data=file)
    told["to a file"] = of_file(target)
    changed = api.update(ALICE, identifier, {"name": "changed", "properties": {"os_version": "13"}})
    told["changed"] = shown(changed)
    kept = {"properties": {"os_distro": "alpine"}}
    told["purged"] = shown(api.update(ALICE, identifier, kept, purge_props=True))
    with DISK.open("rb") as data:
        told["filled once"] = refused(api.update, ALICE, identifier, {}, data=data)
    api.update(ALICE, identifier, {"protected": True})
    told["protected"] = refused(api.delete, ALICE, identifier)
    api.update(ALICE, identifier, {"protected": False})
    api.delete(ALICE, identifier)
    told["gone"] = [refused(call, ALICE, identifier) for call in (api.get, api.delete)]
    return told


def lists() -> Facts:
    """List images as Nova's own API passes it on."""
    made = [
        created(f"list {number}", properties={"os_distro": f"d{number % 2}"}) for number in range(5)
    ]

    def names(**asked: Any) -> list[str]:
        return [image["name"] for image in api.get_all(ALICE, **asked)]

    ours = {"os_distro": "d0"}
    told = {
        "filtered": sorted(names(filters=ours)),
        "sorted": names(filters={**ours}, sort_key="name", sort_dir="asc"),
        "limited": len(names(limit=2)),
        "by name": names(filters={"name": "list 3"}),
        "by status": names(filters={"status": "queued"}),
        "after": names(filters={**ours}, sort_key="name", sort_dir="asc", marker=made[2]["id"]),
    }
    for image in made:
        api.delete(ALICE, image["id"])
    return told


def has_nothing() -> Facts:
    """Meet images without data, and one that nobody may have."""
    queued = api.create(ALICE, {"name": "queued", **RAW, "properties": {}})["id"]
    empty = api.create(ALICE, {"name": "empty", "size": 0, "properties": {}})
    image = created("deactivated")["id"]
    service = api._get_session(BOSS)
    service._client.call(BOSS, 2, "deactivate", args=(image,))
    told = {
        "queued": refused(api.download, ALICE, queued),
        "empty": shown(empty),
        "deactivated": refused(api.download, ALICE, image),
        "nowhere": refused(api.download, ALICE, "00000000-0000-4000-8000-000000000000"),
        "copied": refused(api.copy_image_to_store, BOSS, queued, WHERE["store"]),
    }
    for one in (queued, empty["id"], image):
        api.delete(BOSS, one)
    return told


def snapshots() -> Facts:
    """Take snapshots of an instance: its owner, and an administrator."""
    base = created("base", properties={"os_distro": "debian", "hw_disk_bus": "scsi"})
    system = {
        "image_base_image_ref": base["id"],
        "image_min_disk": "1",
        "image_min_ram": "0",
        "image_disk_format": "qcow2",
        "image_container_format": "bare",
        "image_os_distro": "debian",
        "image_hw_disk_bus": "scsi",
        "image_cache_in_nova": "True",
        "image_img_signature": "not inherited",
    }
    instance = objects.Instance(
        uuid="44444444-4444-4444-8444-444444444444",
        user_id=ALICE.user_id,
        project_id=ALICE.project_id,
        image_ref=base["id"],
        kernel_id="",
        ramdisk_id="",
        os_type="linux",
        system_metadata=system,
    )
    told: Facts = {}
    for who, asking in (("owner", ALICE), ("administrator", BOSS)):
        taken = compute.create_image(asking, instance, f"by {who}", "snapshot", api)
        metadata = LibvirtDriver._create_snapshot_metadata(
            None, instance.image_meta, instance, "raw", f"by {who}"
        )
        with DISK.open("rb") as data:
            api.update(asking, taken["id"], metadata, data, purge_props=False)
        members = (
            api._get_session(asking)._client.call(
                asking, 2, "list", controller="image_members", args=(taken["id"],)
            )
            if who == "administrator"
            else []
        )
        told[who] = {
            "made": shown(taken),
            "filled": shown(api.get(asking, taken["id"])),
            "seen by its owner": hash_of(api.download(ALICE, taken["id"])),
            "members": [(one["member_id"] == ALICE.project_id, one["status"]) for one in members],
        }
        api.delete(asking, taken["id"])
    api.delete(ALICE, base["id"])
    return told


def boots() -> Facts:
    """Fetch images for instances: looked at, converted, verified."""
    data = DISK.read_bytes()
    qcow2 = created("qcow2", FOLDER / "disk.qcow2", disk_format="qcow2")["id"]
    signed, forged, plain = (created(name)["id"] for name in ("signed", "forged", "plain"))
    # Only now: a Glance without a key manager takes in nothing that is signed.
    for image, what in ((signed, data), (forged, data + b"more")):
        api.update(ALICE, image, {"properties": signature_of(what)})
    target = FOLDER / "instance"
    images.fetch_to_raw(ALICE, qcow2, str(target))
    told: Facts = {"converted": of_file(target)}
    images.fetch_to_raw(ALICE, plain, str(target))
    told["as it is"] = of_file(target)
    nova.conf.CONF.set_override("verify_glance_signatures", True, "glance")
    images.fetch_to_raw(ALICE, signed, str(target))
    told["signed"] = of_file(target)
    told["forged"] = refused(images.fetch_to_raw, ALICE, forged, str(target))
    told["unsigned"] = refused(images.fetch_to_raw, ALICE, plain, str(target))
    trusted, other = (objects.TrustedCerts(ids=[one]) for one in (AUTHORITY, STRANGER))
    images.fetch_to_raw(ALICE, signed, str(target), trusted)
    told["trusted"] = of_file(target)
    told["not trusted"] = refused(images.fetch_to_raw, ALICE, signed, str(target), other)
    for one in (qcow2, signed, forged, plain):
        api.delete(ALICE, one)
    return told


objects.register_all()
json.dump(
    {
        "life": lives(),
        "lists": lists(),
        "nothing": has_nothing(),
        "snapshots": snapshots(),
        "boots": boots(),
    },
    sys.stdout,
)

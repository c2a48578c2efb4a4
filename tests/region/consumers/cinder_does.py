"""What Cinder does with images, by Cinder's own code; run by the Python that has it.

Reads in JSON where to do it, prints in JSON what came of it, which must not depend on who serves
the images.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import cinder.image.image_utils  # before what it is about: they import each other
from cinder import privsep
from cinder.common import config
from cinder.context import RequestContext
from cinder.image import glance
from logging_in import Facts, logged_in, refused  # type: ignore[import-not-found]
from signing import signature_of  # type: ignore[import-not-found]

WHERE = json.load(sys.stdin)
FOLDER = Path(WHERE["folder"])
config.CONF(["--config-file", str(FOLDER / "cinder.conf")], project="cinder", version="test")
# What needs more rights than this process has is asked of nobody: nothing here does.
privsep.sys_admin_pctxt.set_client_mode(False)

service = glance.GlanceImageService()
image_utils = cinder.image.image_utils
DISK = FOLDER / "disk.raw"
RAW = {"disk_format": "raw", "container_format": "bare"}
SHOWN = ("name", "status", "size", "checksum", "disk_format", "container_format", "min_disk")


def context(user: str) -> Any:
    """Make the context of a user's request, as Cinder's middleware does."""
    return RequestContext(**logged_in(WHERE, user), is_admin=user == "boss")


ALICE, BOB = context("alice"), context("bob")


def shown(image: Facts) -> Facts:
    """Give what of an image does not depend on when and where it was made."""
    return {
        **{key: image[key] for key in (*SHOWN, "visibility", "protected", "tags")},
        "hash": image["os_hash_value"],
        "mine": image["owner"] == ALICE.project_id,
        "dated": type(image["created_at"]).__name__,
        "properties": {
            key: value
            for key, value in sorted(image["properties"].items())
            if key not in ("stores", "img_signature")
        },
    }


def of_file(path: Path) -> str:
    """Hash a file, and take it away."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    return found


def uploaded(name: str, file: Path = DISK, properties: Facts | None = None, **more: Any) -> Facts:
    """Make an image of a volume, as `cinder upload-to-image` does."""
    facts = {"name": name, **RAW, "properties": properties or {}, **more}
    image: Facts = service.create(ALICE, facts)
    kind = "raw" if file == DISK else "qcow2"
    image_utils.upload_volume(
        *(ALICE, service, image, str(file)),
        volume_format=kind,
        run_as_root=False,
        store_id=WHERE["store"],
        base_image_ref=image["id"],
    )
    return image


def lives() -> Facts:
    """Make, show, list, change, download and delete an image."""
    image = uploaded("life", properties={"os_distro": "debian", "hw_disk_bus": "scsi"})
    identifier = image["id"]
    target = FOLDER / "target"
    told = {
        "made": shown(image),
        "got": shown(service.show(ALICE, identifier)),
        "listed": [
            shown(one)
            for one in service.detail(
                ALICE, filters={"name": "life"}, sort_key="name", sort_dir="asc", limit=1
            )
        ],
        "unseen": refused(service.show, BOB, identifier),
        "members": list(service.list_members(ALICE, identifier)),
        "stores": [one["id"] for one in service.get_stores(ALICE)["stores"]] == [WHERE["store"]],
    }
    image_utils.fetch(ALICE, service, identifier, str(target), None, None)
    told["fetched"] = of_file(target)
    image_utils.fetch_verify_image(ALICE, service, identifier, str(target))
    told["looked at"] = of_file(target)
    told["iterated"] = hashlib.sha256(b"".join(service.download(ALICE, identifier))).hexdigest()
    changed = {"name": "changed", "properties": {"os_version": "13"}}
    told["changed"] = shown(service.update(ALICE, identifier, changed, purge_props=False))
    told["purged"] = shown(service.update(ALICE, identifier, changed))
    service.delete(ALICE, identifier)
    told["gone"] = [refused(call, ALICE, identifier) for call in (service.show, service.delete)]
    return told


def makes_volumes() -> Facts:
    """Fetch images onto volumes: converted, verified."""
    data, target = DISK.read_bytes(), FOLDER / "volume"
    qcow2 = uploaded("qcow2", FOLDER / "disk.qcow2", disk_format="qcow2")["id"]
    converted = uploaded("converted", disk_format="qcow2")["id"]
    signed, forged = (uploaded(name)["id"] for name in ("signed", "forged"))
    for image, what in ((signed, data), (forged, data + b"more")):
        service.update(ALICE, image, {"properties": signature_of(what)})
    told: Facts = {}
    for name, image in (("qcow2", qcow2), ("made qcow2 of", converted), ("raw", signed)):
        target.touch()  # a volume is there before anything is on it
        image_utils.fetch_to_raw(
            *(ALICE, service, image, str(target), "1M"), size=1, run_as_root=False
        )
        told[name] = of_file(target)
    for name, image in (("signed", signed), ("forged", forged)):
        image_utils.fetch(ALICE, service, image, str(target), None, None)
        verify = (ALICE, service, image, str(target))
        told[name] = (
            image_utils.verify_glance_image_signature(*verify)
            if name == "signed"
            else refused(image_utils.verify_glance_image_signature, *verify)
        )
    for image in (qcow2, converted, signed, forged):
        service.delete(ALICE, image)
    return told


json.dump({"life": lives(), "volumes": makes_volumes()}, sys.stdout)

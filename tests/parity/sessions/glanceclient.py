"""What a program does with python-glanceclient."""

import io
import sys

import openstack.config
from glanceclient import Client
from glanceclient.exc import HTTPException

session = sys.argv[1]


def client(cloud: str) -> Client:
    """Connect as a user of the clouds.yaml."""
    region = openstack.config.OpenStackConfig().get_one(cloud)
    endpoint = region.get_endpoint("image")
    return Client("2", session=region.get_session(), endpoint_override=endpoint)


alice, bob, admin = client("alice"), client("bob"), client("admin")
RAW = {"disk_format": "raw", "container_format": "bare"}
DATA = b"data of a program" * 100

if session == "glanceclient life":
    image = alice.images.create(name="gc", tags=["a"], os_distro="debian", **RAW)
    alice.images.upload(image.id, io.BytesIO(DATA), len(DATA))
    alice.images.get(image.id)
    alice.images.update(image.id, remove_props=["os_distro"], name="renamed", hw_x="y")
    list(alice.images.list(filters={"name": "renamed", "tag": ["a"]}, page_size=2))
    b"".join(alice.images.data(image.id))
    alice.image_tags.update(image.id, "b")
    alice.image_tags.delete(image.id, "a")
    alice.images.delete(image.id)
elif session == "glanceclient chunked":
    image = alice.images.create(**RAW)
    alice.images.upload(image.id, io.BytesIO(DATA * 2))
    b"".join(alice.images.data(image.id))
    admin.images.deactivate(image.id)
    admin.images.reactivate(image.id)
    alice.images.delete(image.id)
elif session == "glanceclient members":
    image = alice.images.create(name="gc members")
    alice.image_members.create(image.id, sys.argv[2])
    list(alice.image_members.list(image.id))
    bob.image_members.update(image.id, sys.argv[2], "accepted")
    list(bob.images.list(filters={"visibility": "shared"}))
    alice.image_members.delete(image.id, sys.argv[2])
    alice.images.delete(image.id)
elif session == "glanceclient import":
    image = alice.images.create(**RAW)
    alice.images.stage(image.id, io.BytesIO(DATA))
    alice.images.image_import(image.id, "glance-direct")
    alice.images.get_import_info()
    alice.images.get_stores_info()
elif session == "glanceclient refused":
    for refused in (
        lambda: alice.images.get("no-such-image"),
        lambda: alice.images.delete("no-such-image"),
        lambda: alice.images.create(name="gc", visibility="public"),
        lambda: list(alice.images.list(filters={"visibility": "rubbish"})),
        lambda: alice.metadefs_namespace.get("no-such-namespace"),
        lambda: list(alice.tasks.list()),
        admin.cache.list,
    ):
        try:
            refused()
        except HTTPException as error:
            sys.stderr.write(f"{error}\n")
elif session == "glanceclient definitions":
    next(iter(alice.metadefs_namespace.list(limit=3)))
    admin.metadefs_namespace.create(namespace="gc", description="x")
    admin.metadefs_object.create("gc", name="disk")
    admin.metadefs_property.create("gc", name="size", title="Size", type="integer")
    admin.metadefs_tag.create("gc", "t")
    admin.metadefs_namespace.update("gc", description="y")
    admin.metadefs_namespace.delete("gc")

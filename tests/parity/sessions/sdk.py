"""What a program does with openstacksdk."""

import io
import sys
from typing import cast

import openstack
from openstack.image.v2._proxy import Proxy

session = sys.argv[1]
cloud = cast("Proxy", openstack.connect(cloud="alice").image)
admin = cast("Proxy", openstack.connect(cloud="admin").image)
DATA = b"data of a program" * 100

if session == "sdk life":
    image = cloud.create_image(
        "sdk", disk_format="raw", container_format="bare", data=DATA, tags=["a"], wait=True
    )
    cloud.get_image(image.id)
    list(cloud.images(name="sdk", visibility="private"))
    cloud.find_image("sdk")
    cloud.update_image(image, name="renamed", hw_disk_bus="virtio", min_disk=2)
    cloud.add_tag(image, "b")
    cloud.remove_tag(image, "a")
    cloud.download_image(image, stream=False)
    cloud.delete_image(image)
    cloud.find_image("sdk")
elif session == "sdk pages":
    made = [cloud.create_image(f"page {n}", disk_format="raw") for n in range(5)]
    list(cloud.images(limit=2, sort="name:asc"))
    list(cloud.images(status="queued", owner=made[0].owner, is_hidden=False))
    list(cloud.images(size_min=1, size_max=100))
    for image in made:
        cloud.delete_image(image)
elif session == "sdk members":
    image = cloud.create_image("members", visibility="shared")
    cloud.add_member(image, member_id="somebody")
    list(cloud.members(image))
    cloud.get_member("somebody", image)
    cloud.remove_member("somebody", image)
    admin.deactivate_image(image)
    cloud.delete_image(image)
elif session == "sdk import":
    image = cloud.create_image("import", disk_format="raw", container_format="bare")
    image.stage(cloud, data=io.BytesIO(DATA))
    cloud.import_image(image)
    cloud.wait_for_status(image, "active", interval=1)
    list(cloud.image_tasks(image))
    cloud.get_import_info()
    list(cloud.stores())
    cloud.delete_image(image)
elif session == "sdk schemas":
    for schema in ("images", "image", "members", "member", "tasks", "task"):
        getattr(cloud, f"get_{schema}_schema")()
    for schema in ("namespace", "namespaces", "resource_type", "property", "object", "tag"):
        getattr(cloud, f"get_metadef_{schema}_schema", cloud.get_image_schema)()
    list(cloud.metadef_namespaces())

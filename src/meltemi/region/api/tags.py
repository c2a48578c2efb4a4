"""Tags, one at a time."""

from dataclasses import replace

from aiohttp import web

from meltemi.errors import VanishedError
from meltemi.model.image import Image
from meltemi.region.api.editing import must_be_within
from meltemi.region.api.news import tell
from meltemi.region.service import Call


async def add(call: Call) -> web.Response:
    """Tag an image."""
    tag = call.path["tag"]
    call.service.image_checker.check({"tags": [tag]})

    def edit(image: Image) -> Image:
        call.demand("modify_image", image)
        tagged = replace(image, tags=image.tags | {tag})
        limits = call.settings.limits
        must_be_within(
            tagged, image, properties=limits.image_property_quota, tags=limits.image_tag_quota
        )
        return tagged

    record = await call.change(edit, missing=f"Image {call.image_id} not found.")
    tell(call.service, "image.update", record)
    return web.Response(status=204)


async def remove(call: Call) -> web.Response:
    """Take a tag off an image."""
    tag = call.path["tag"]

    def edit(image: Image) -> Image:
        call.demand("modify_image", image)
        if tag not in image.tags:
            raise VanishedError("")
        return replace(image, tags=image.tags - {tag})

    record = await call.change(edit, missing=f"Image {call.image_id} not found.")
    tell(call.service, "image.update", record)
    return web.Response(status=204)

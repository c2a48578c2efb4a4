"""What a project has of what it may have."""

from aiohttp import web

from meltemi.region.answers import document
from meltemi.region.service import Call


async def show(call: Call) -> web.Response:  # noqa: ARG001 - what every handler takes
    """Give the usage of each quota; a region has no quotas of projects."""
    return document({"usage": {}})

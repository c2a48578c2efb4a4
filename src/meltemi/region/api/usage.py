"""What a project has of what it may have."""

from dataclasses import asdict

from aiohttp import web

from meltemi.region.answers import document
from meltemi.region.service import Call


async def show(call: Call) -> web.Response:
    """Give limit and usage of each resource that the project of who asks has a limit of."""
    quotas = await call.service.quotas.all(call.context.project)
    return document({"usage": {name: asdict(quota) for name, quota in quotas.items()}})

"""What `meltemi pause` and `meltemi resume` have in common."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from meltemi.cli.asking import say
from meltemi.daemon.client import Client
from meltemi.errors import UsageError


def holding(
    method: str, options: Mapping[str, Any], becomes: str
) -> Callable[[Client], Awaitable[int]]:
    """Make what pauses or resumes what the command line names, and says what becomes of it."""
    named = [("route", options["route"]), ("library", options["region"])]
    asked = [(kind, name) for kind, name in named if name is not None]
    if not asked:
        raise UsageError("what is meant? name a --route, a --region, or both")

    async def hold(client: Client) -> int:
        for kind, name in asked:
            await client.send(method, f"/v1/pauses/{kind}/{quote(name, safe='')}")
            say(f"meltemi: {kind} {name} {becomes}")
        return 0

    return hold

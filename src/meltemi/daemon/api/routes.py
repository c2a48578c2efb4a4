"""Routes: what they are, how many images are where, and how far behind they are."""

import time
from collections import defaultdict
from typing import Any

from aiohttp import web

from meltemi import __version__
from meltemi.daemon.api.call import Call, told
from meltemi.daemon.state.records import Held
from meltemi.daemon.state.views import Count


async def listing(call: Call) -> web.Response:
    """List routes, with sums of what the sender may see."""
    call.query()
    now = time.time()
    sums: dict[tuple[str, str], list[Count]] = defaultdict(list)
    for count in await call.state.views.counts(call.sender.project, call.late):
        sums[count.route, count.library].append(count)
    paused = {(pause.kind, pause.name) for pause in await call.state.pauses()}
    troubles = await call.state.troubles.read() if call.sender.project is None else {}
    within = call.within
    routes = [
        {
            "name": route.name,
            "source": route.source,
            "within": within.get(route.name),
            "paused": (Held.ROUTE, route.name) in paused,
            "libraries": [
                {
                    "name": library,
                    "paused": (Held.LIBRARY, library) in paused,
                    "trouble": troubles.get((route.name, library)),
                    **_summed(sums[route.name, library], now),
                }
                for library in route.targets
            ],
        }
        for route in call.parts.configuration().routes
    ]
    return told({"routes": routes})


def _summed(counts: list[Count], now: float) -> dict[str, Any]:
    behind = [count.behind for count in counts if count.behind is not None]
    return {
        "counts": {count.observed: count.images for count in counts},
        "behind": max(round(now - min(behind), 3), 0.0) if behind else None,
        "late": sum(count.late for count in counts),
    }


async def daemon(call: Call) -> web.Response:
    """Say as whom the sender is known; to operators also who answers, and who leads."""
    call.query()
    processes: dict[str, str | None] = {}
    if call.names_processes:
        processes = {"holder": call.parts.holder, "leader": await call.state.leader()}
    sender = call.sender
    return told(
        {
            "version": __version__,
            **processes,
            "sender": {"who": sender.who, "role": sender.role, "project": sender.project},
        }
    )

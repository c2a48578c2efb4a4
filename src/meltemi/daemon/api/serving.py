"""The API of one daemon process, beside whatever else the process does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from meltemi.config.load import Api, Configuration
from meltemi.daemon.api.app import application
from meltemi.daemon.api.call import Parts
from meltemi.daemon.api.feed import Feed
from meltemi.daemon.api.senders import Senders
from meltemi.daemon.events.intake import Intake
from meltemi.daemon.events.webhook import Webhook
from meltemi.daemon.state.state import State
from meltemi.errors import ConfigurationError
from meltemi.listening import listen, tls_context
from meltemi.model.listening import ListeningAddress

_log: Final = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 5.0
"""How long requests that are being answered may take when the daemon stops."""


class _Doorkeeper:
    """Who is let in, as the configuration says that is in force."""

    def __init__(self, settings: Callable[[], Api]) -> None:
        self._settings = settings
        self._seen = settings()
        self._senders = Senders(self._seen)
        self._closing: set[asyncio.Task[None]] = set()

    def __call__(self) -> Senders:
        """Give who tells who asks; settings that cannot be used leave that as it was."""
        settings = self._settings()
        if settings != self._seen:
            self._seen = settings
            try:
                new = Senders(settings)
            except ConfigurationError as error:
                _log.error("%s; who could ask before can go on", error)
            else:
                task = asyncio.create_task(self._senders.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
                self._senders = new
        return self._senders

    async def close(self) -> None:
        await asyncio.gather(self._senders.close(), *self._closing)


@asynccontextmanager
async def serving(
    configuration: Callable[[], Configuration],
    address: ListeningAddress,
    state: State,
    holder: str,
    intake: Intake,
) -> AsyncIterator[str]:
    """Serve the API; give its URL.

    Raise UsageError where the address cannot be had, ConfigurationError where it cannot be told
    who asks.
    """
    settings = configuration().daemon.api
    tls = tls_context(settings.tls.certificate, settings.tls.key) if settings.tls else None
    door = _Doorkeeper(lambda: configuration().daemon.api)
    feed = Feed(state)
    parts = Parts(configuration, state, feed, door, holder, Webhook(configuration, intake))
    runner = web.AppRunner(
        application(parts),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_PATIENCE_SECONDS,
    )
    following = asyncio.create_task(feed.run())
    try:
        await runner.setup()
        listener = listen(*address)
        await web.SockSite(runner, listener, ssl_context=tls).start()
        there = ListeningAddress(address.host, listener.getsockname()[1])
        yield f"{'https' if tls else 'http'}://{there}"
    finally:
        feed.close()
        await runner.cleanup()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await door.close()

"""Processes and sockets: one listening socket, served by one process or by several workers.

The supervisor of several workers only forks and waits: it starts anew what died, and passes on
that all shall stop. Whatever is in flight when a worker is told to stop is finished first.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from typing import Final, NoReturn

from aiohttp import web

from meltemi.listening import listen, tls_context
from meltemi.region.allocating import give_memory_back
from meltemi.region.app import application
from meltemi.region.exposing import Exposition
from meltemi.region.inflight import InFlight, closed
from meltemi.region.metering import count_into, without
from meltemi.region.settings import Settings
from meltemi.region.wiring import close_service, open_service

_log: Final = logging.getLogger(__name__)

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_READ_BUFFER: Final = 2**18
_CUT_SECONDS: Final = 1.0
"""How long those whose time is over may take to give up; to aiohttp, 0 would mean for ever."""

_PAUSE: Final = 1.0
"""Seconds between the deaths of workers and new ones, so that a defect does not spin."""


def serve(settings: Settings, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT; `ready` is called once the first can come."""
    give_memory_back()
    tls = tls_context(settings.tls.certificate, settings.tls.key) if settings.tls else None
    exposition = _expose(settings)
    if settings.workers == 1:
        asyncio.run(_work(settings, listener, tls, exposition, ready))
    else:
        _Supervisor(settings, listener, tls, exposition).run(ready)


def _expose(settings: Settings) -> Exposition | None:
    if (metrics := settings.metrics) is None:
        return None
    listener = listen(metrics.host, metrics.port)
    folder = settings.data / f"metrics-{metrics.host}-{metrics.port}"
    count_into(folder)  # nobody else counts there: nobody else can listen there
    return Exposition(listener, folder)


async def _work(
    settings: Settings,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    exposition: Exposition | None,
    ready: Callable[[], None],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        loop.add_signal_handler(number, stop.set)
    service = await open_service(settings)
    tidying = [
        asyncio.create_task(service.janitor.run()),
        asyncio.create_task(service.hot.run()),
    ]
    if service.front is not None:
        tidying.append(asyncio.create_task(service.front.filler.run()))
    try:
        in_flight = InFlight()
        runner = web.AppRunner(
            application(service, in_flight),
            access_log=None,
            read_bufsize=_READ_BUFFER,
            auto_decompress=False,  # data is what was sent
            handler_cancellation=True,
        )
        await runner.setup()
        site = web.SockSite(runner, listener, ssl_context=tls)
        await site.start()
        async with exposition.served() if exposition else nullcontext():
            ready()
            await stop.wait()
            until = loop.time() + settings.graceful_seconds
            await site.stop()
            # Not left to aiohttp, which takes in no more of an upload once it is told to stop.
            landed = await asyncio.gather(
                in_flight.landed(settings.graceful_seconds),
                service.background.landed(settings.graceful_seconds),
            )
        if not all((*landed, await _taken(runner.server, until))):
            _log.warning("stopping in the middle of work: the time for it is over")
        await runner.cleanup()
        await in_flight.landed(_CUT_SECONDS)
    finally:
        for task in tidying:
            task.cancel()
        await asyncio.gather(*tidying, return_exceptions=True)
        await close_service(service)


async def _taken(server: web.Server | None, until: float) -> bool:
    """Let clients go, each once it has taken its answer; say whether all did until then."""
    if server is None:
        return True
    clock = asyncio.get_running_loop()
    transports = [one.transport for one in server.connections if one.transport is not None]
    server.pre_shutdown()
    await server.shutdown(max(_CUT_SECONDS, until - clock.time()))
    return await closed(transports, until - clock.time())


class _Supervisor:
    """Keeps a number of workers alive."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        exposition: Exposition | None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._tls = tls
        self._exposition = exposition
        self._workers: set[int] = set()
        self._stopping = False

    def run(self, ready: Callable[[], None]) -> None:
        for number in _STOPPING:
            signal.signal(number, self._stop)
        gc.collect()
        gc.freeze()  # so that collections do not touch, and so copy, what workers share
        for _ in range(self._settings.workers):
            self._start()
        ready()
        while self._workers:
            worker, status = os.wait()
            self._workers.discard(worker)
            if self._exposition:
                without(worker, self._exposition.folder)
            if not self._stopping:
                code = os.waitstatus_to_exitcode(status)
                _log.error("worker %d ended with %d; another takes its place", worker, code)
                time.sleep(_PAUSE)
                self._start()

    def _start(self) -> None:
        # A signal waits until the new worker is known: else it would not reach that one.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            if self._stopping:
                return
            if worker := os.fork():
                self._workers.add(worker)
                return
            self._be_worker(before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _be_worker(self, mask: Collection[int]) -> NoReturn:
        code = 1
        try:
            for number in _STOPPING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            asyncio.run(
                _work(self._settings, self._listener, self._tls, self._exposition, lambda: None)
            )
            code = 0
        except Exception:  # noqa: BLE001 - the child must not go on as a second parent
            _log.exception("a worker cannot go on")
        finally:
            os._exit(code)

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._listener.close()
        if self._exposition:
            self._exposition.listener.close()
        for worker in self._workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)

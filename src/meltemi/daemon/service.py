"""The process: waits until it leads, leads until it is told to stop, follows its configuration."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from prometheus_client import generate_latest

from meltemi.config.load import Configuration, load
from meltemi.daemon.accounts import Accounts
from meltemi.daemon.api.serving import serving
from meltemi.daemon.board import Board
from meltemi.daemon.counters import Counters
from meltemi.daemon.events.hearing import Hearing
from meltemi.daemon.events.intake import Intake
from meltemi.daemon.gauges import Gauges
from meltemi.daemon.keeper import Keeper
from meltemi.daemon.owners import Owners
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.state import State, open_state
from meltemi.daemon.vault import Vault
from meltemi.errors import ConfigurationError, LeaseError, StateError
from meltemi.exposing import exposed
from meltemi.libraries.base import Library
from meltemi.libraries.opening import open_library
from meltemi.listening import listen
from meltemi.messaging import connection_to
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential
from meltemi.model.listening import ListeningAddress
from meltemi.replication.claim import GIVEN_UP, end_claims, holder_lives, this_holder

_log: Final = logging.getLogger(__name__)

LEASE_SECONDS: Final = 10.0
"""How long a daemon leads without saying so again, by the database's clock."""

_RENEW_SECONDS: Final = 2.0
_MARGIN_SECONDS: Final = 2.0
"""How long before the end of its lease a daemon that could not renew it ceases to lead."""

_LATELY: Final = 2 * GIVEN_UP.total_seconds()
"""Seconds after which nobody believes any more that what a daemon was sending still comes."""

SILENCE_SECONDS: Final = 30.0
"""How long a library may be silent."""


class Service:
    """One daemon process, on one meltemi.yaml.

    `ready` is called once it is at work, with where its state is, and its API. That is served at
    `address`, or else at the one in the configuration.
    """

    def __init__(
        self,
        file: Path,
        ready: Callable[[str], None],
        address: ListeningAddress | None = None,
    ) -> None:
        self._file = file
        self._ready = ready
        self._configuration = _load(file)
        self._address = address or self._configuration.daemon.api.listen
        self._seen = _stamp(file)
        self._reading = asyncio.Lock()
        self._keeper: Keeper | None = None
        self._hearing: Hearing | None = None
        self._counters = Counters()
        self._counters.registry.register(Gauges(lambda: self._keeper))
        self._counters.reloaded(time.time())
        self.holder = this_holder()

    async def run(self) -> None:
        """Go on until cancelled; raise StateError where the state cannot be opened."""
        url, hearing = self._configuration.daemon.database, None
        # Whoever asks much holds up only those who ask: the lease must not wait for them.
        async with _opened(url) as state, _opened(url) as asked:
            intake = Intake(asked.inbox, lambda: self._configuration, self._wake)
            try:
                hearing = self._hearing = Hearing(await asked.inbox.queue(), intake)
                async with self._exposing(), self._serving(asked, intake) as told:
                    self._ready(f"{state.label}; {told}")
                    await hearing.follow(self._configuration.buses)
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._follow())
                        tasks.create_task(self._lead_in_turn(state))
            finally:
                if hearing is not None:
                    await hearing.stop()

    def _serving(self, state: State, intake: Intake) -> AbstractAsyncContextManager[str]:
        return serving(lambda: self._configuration, self._address, state, self.holder, intake)

    def _wake(self) -> None:
        """Have what was asked for looked at now, where this process leads."""
        if self._keeper is not None:
            self._keeper.wake()

    @asynccontextmanager
    async def _exposing(self) -> AsyncIterator[None]:
        """Let Prometheus read what is counted, where that is wanted."""
        if (metrics := self._configuration.daemon.metrics) is None:
            yield
            return

        async def text() -> bytes:
            return generate_latest(self._counters.registry)

        async with exposed(listen(metrics.host, metrics.port), text):
            yield

    async def reload(self) -> None:
        """Read the configuration again; one that is wrong is refused, and the old one holds."""
        async with self._reading:
            self._seen = _stamp(self._file)
            try:
                new = await asyncio.to_thread(_load, self._file)
            except ConfigurationError as error:
                _log.error("%s; the configuration before it stays in force", error)
                self._counters.refused()
                return
            self._counters.reloaded(time.time())
            if new != self._configuration:
                await self._go_on_with(new)

    async def _go_on_with(self, new: Configuration) -> None:
        if _fixed(new) != _fixed(self._configuration):
            _log.warning(
                "%s: daemon.database, listen, tls and metrics take effect at the next start",
                self._file,
            )
        self._configuration = new
        _log.info("%s: a new configuration is in force", self._file)
        if self._keeper is not None:
            await self._keeper.reload(new)
        if self._hearing is not None:
            await self._hearing.follow(new.buses)

    async def _follow(self) -> None:
        """Notice when the file changes."""
        while True:
            await asyncio.sleep(1)
            if _stamp(self._file) != self._seen:
                await self.reload()

    async def _lead_in_turn(self, state: State) -> None:
        while True:
            try:
                if await state.lead(self.holder, LEASE_SECONDS, _is_gone):
                    await self._lead(state)
            except StateError as error:
                self._counters.state_errors.inc()
                _log.warning("%s", error)
            await asyncio.sleep(_RENEW_SECONDS / 2)

    async def _lead(self, state: State) -> None:
        """Lead until the lease is lost, or this is cancelled: then give it back."""
        _log.info("%s leads", self.holder)
        try:
            accounts = Accounts(state.credentials, lambda: _vault(self._configuration.daemon.keys))
            await accounts.renew()
            # Whoever led before has ceased to transfer: it holds no image any more.
            end_claims(await state.succeed(self.holder, time.time() - _LATELY))
            board = Board(await state.placements(), time.time)
            owners = Owners(board, await state.answers.read(), accounts.has, time.time)
            await self._work(state, board, owners, accounts)
        finally:
            with suppress(StateError):  # the lease ends by itself
                await state.resign(self.holder)
            _log.info("%s does not lead any more", self.holder)

    async def _work(self, state: State, board: Board, owners: Owners, accounts: Accounts) -> None:
        """Let a keeper work, and keep the lease meanwhile."""
        # Both have to see the same configuration: nothing is awaited in between.
        shelf = Shelf(self._configuration.libraries, _open, accounts.credential)
        keeper = self._keeper = Keeper(
            self._configuration,
            state,
            shelf,
            board=board,
            counters=self._counters,
            owners=owners,
            accounts=accounts,
            holder=self.holder,
        )
        self._counters.leader.set(1)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keeper.run())
                tasks.create_task(self._renew(state))
        except* StateError as group:
            raise group.exceptions[0] from None
        finally:
            self._keeper = None
            self._counters.leader.set(0)
            await shelf.close()

    async def _renew(self, state: State) -> None:
        """Keep the lease; raise LeaseError when it is lost, or may be."""
        held = time.monotonic()
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            left = held + LEASE_SECONDS - _MARGIN_SECONDS - time.monotonic()
            begun = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    leads = await state.lead(self.holder, LEASE_SECONDS, _is_gone)
            except (StateError, TimeoutError) as error:
                if begun + _RENEW_SECONDS >= held + LEASE_SECONDS - _MARGIN_SECONDS:
                    why = str(error) or "the database, or this process, is too slow"
                    raise LeaseError(f"the lease could not be renewed in time: {why}") from error
                continue
            if not leads:
                raise LeaseError("another daemon leads by now")
            held = begun


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[State]:
    state = await open_state(url)
    try:
        yield state
    finally:
        await state.close()


def _load(file: Path) -> Configuration:
    """Read a configuration; raise ConfigurationError where it is wrong, or names no real bus."""
    configuration = load(file)
    for library, url in configuration.buses.items():
        try:
            connection_to(url)
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: libraries.{library}: {error}") from error
    return configuration


def _fixed(configuration: Configuration) -> tuple[object, ...]:
    """Give what holds as long as the process lives."""
    settings = configuration.daemon
    return settings.database, settings.api.listen, settings.api.tls, settings.metrics


def _is_gone(holder: str) -> bool:
    return holder_lives(holder) is False


async def _open(
    name: str, address: LibraryAddress, credential: Credential | None = None
) -> Library:
    return await open_library(
        address,
        name=name,
        silence=SILENCE_SECONDS,
        writable=True,
        may_be_absent=True,
        credential=credential,
    )


def _vault(keys: Path | None) -> Vault | None:
    """Give what opens credentials; without, those that need it fail, and nothing else."""
    try:
        return None if keys is None else Vault(keys)
    except ConfigurationError as error:
        _log.error("%s; credentials of owners cannot be used", error)
        return None


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

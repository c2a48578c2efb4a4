"""One reading of an image's data for several targets, none of which can hold up the others."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from meltemi.replication.reading import Block, HashState, Reading

WINDOW: Final = 32 * 2**20
"""Bytes that the slowest of several targets may be behind the fastest."""

WINDOW_OF_ALL: Final = 64 * 2**20
"""Bytes that all shared readings of a run may hold together, a few blocks for each aside."""

WINDOW_ALONE: Final = 4 * 2**20
"""Bytes read ahead for a single target."""


class Held:
    """Counts the bytes that all shared readings of a run hold."""

    def __init__(self) -> None:
        self.bytes = 0


class FanOut:
    """Reads once and hands every block to all subscribers.

    A subscriber a whole window behind, while another one waits for more, leaves the shared
    reading and goes on with ranges of its own.
    """

    def __init__(self, reading: Reading, subscribers: int, held: "Held") -> None:
        self._reading = reading
        self._held = held
        self._least = WINDOW_ALONE // reading.block or 1
        self._most = self._least if subscribers == 1 else WINDOW // reading.block or 1
        self._blocks: deque[Block] = deque()
        self._first = 0
        self._ended = False
        self._error: BaseException | None = None
        self._changed = asyncio.Condition()
        self._subscribers: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self) -> "Subscription":
        """Join from the first byte; only before the reading has begun."""
        subscription = Subscription(self, self._reading)
        self._subscribers.add(subscription)
        return subscription

    async def read(self) -> None:
        """Read the source to its end, or until nobody listens; errors go to the subscribers."""
        try:
            async with aclosing(self._reading.blocks()) as blocks:
                async for block in blocks:
                    if not await self._room():
                        return
                    async with self._changed:
                        self._blocks.append(block)
                        self._held.bytes += block.size
                        self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for data
            self._error = error
        finally:
            async with self._changed:
                self._ended = True
                self._changed.notify_all()

    async def _room(self) -> bool:
        """Wait for space in the window, sending laggards away rather than let others wait."""
        async with self._changed:
            while self._subscribers and self._is_full():
                if any(s.starving for s in self._subscribers):
                    for laggard in [s for s in self._subscribers if s.index == self._first]:
                        self._detach(laggard)
                    self._forget()
                else:
                    await self._changed.wait()
            return bool(self._subscribers)

    def _is_full(self) -> bool:
        count = len(self._blocks)
        return count >= (self._most if self._held.bytes < WINDOW_OF_ALL else self._least)

    async def detach_idle(self) -> None:
        """Send away who has taken nothing yet, where what is kept for such takes much memory."""
        if self._held.bytes < WINDOW_OF_ALL // 2:
            return
        async with self._changed:
            for idle in [s for s in self._subscribers if not s.started]:
                self._detach(idle)
            self._forget()
            self._changed.notify_all()

    def _detach(self, subscription: "Subscription") -> None:
        self._subscribers.discard(subscription)
        place = subscription.index - self._first
        subscription.detached = True
        # Who has taken nothing may find nothing read either, and starts by itself.
        subscription.before = self._blocks[place].before if place < len(self._blocks) else None

    def _forget(self) -> None:
        """Drop the blocks that every subscriber has taken."""
        oldest = min((s.index for s in self._subscribers), default=self._first + len(self._blocks))
        while self._first < oldest and self._blocks:
            self._held.bytes -= self._blocks.popleft().size
            self._first += 1

    async def take(self, subscription: "Subscription") -> Block | None:
        """Give a subscriber its next block; None at the end, or where it has been sent away."""
        async with self._changed:
            while subscription in self._subscribers:
                place = subscription.index - self._first
                if place < len(self._blocks):
                    subscription.starving = False
                    subscription.index += 1
                    block = self._blocks[place]
                    self._forget()
                    self._changed.notify_all()
                    return block
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return None
                subscription.starving = True
                self._changed.notify_all()
                await self._changed.wait()
            return None

    async def leave(self, subscription: "Subscription") -> None:
        """End a subscription; the others go on."""
        async with self._changed:
            self._subscribers.discard(subscription)
            self._forget()
            self._changed.notify_all()


class Subscription:
    """One target's view of the data: shared as long as it keeps up, then by itself."""

    def __init__(self, fan: FanOut, reading: Reading) -> None:
        self._fan = fan
        self._reading = reading
        self.index = 0
        self.started = False
        self.starving = False
        self.detached = False
        self.before: asyncio.Future[HashState] | None = None

    async def blocks(self) -> AsyncGenerator[Block]:
        """Give the image's data in blocks, the last one only once all has been verified."""
        self.started = True
        sent = 0
        try:
            while (block := await self._fan.take(self)) is not None:
                yield block
                sent += block.size
        finally:
            await self._fan.leave(self)
        if self.detached:
            state = None if self.before is None else (await self.before).copy()
            async for block in self._reading.blocks(sent, state):
                yield block

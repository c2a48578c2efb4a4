"""Who sees to it that images borrow what their parents in other regions have."""

import asyncio
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import uuid4

from meltemi.catalogue.base import Catalogue
from meltemi.catalogue.loans_base import Loans
from meltemi.errors import MeltemiError, UnavailableError, VanishedError
from meltemi.model.record import Loan, Record, is_borrowed
from meltemi.region.borrowing.making import make
from meltemi.region.borrowing.peer import AWAY, Peer
from meltemi.region.context import Context
from meltemi.region.data.contents import Contents, name_of_borrowed
from meltemi.region.data.pieces import Pieces
from meltemi.region.policy import Policy
from meltemi.region.targets import of_image

PARENT: Final = "base_image_ref"
"""The property in which Nova records the image that a server was made of, on its snapshots."""

IDLE_SECONDS: Final = 5.0
"""How often it is looked whether something is to be made or ended."""

_LONGEST_PAUSE: Final = 60.0
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_log: Final = logging.getLogger(__name__)


class Borrower:
    """Lets images of this region borrow from its peers; with no peers it does nothing."""

    def __init__(
        self,
        catalogue: Catalogue,
        loans: Loans,
        policy: Policy,
        *,
        contents: Contents,
        pieces: Pieces,
        peers: Mapping[str, Peer],
        holder: str,
    ) -> None:
        self._catalogue = catalogue
        self._loans = loans
        self._contents = contents
        self._pieces = pieces
        self._policy = policy
        self._peers = peers
        self._holder = holder
        self._woken = asyncio.Event()

    async def consider(self, record: Record, context: Context) -> None:
        """See to it that an image borrows which somebody has uploaded, if it can; never raise."""
        image = record.image
        try:
            if (loan := await self._wanted(record, context)) is not None:
                await self._loans.begin(loan)
                self._woken.set()
        except MeltemiError as error:
            _log.warning("image %s: it borrows nothing yet: %s", image.id, error)
        except Exception:  # noqa: BLE001 - whatever a defect is, the upload is done
            _log.exception("image %s: a defect in borrowing", image.id)

    async def run(self) -> None:
        """Make and end loans, one after another, until cancelled."""
        failures = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(IDLE_SECONDS * 2**failures, _LONGEST_PAUSE)):
                    await self._woken.wait()
            self._woken.clear()
            try:
                while (loan := await self._loans.claim_next(self._holder)) is not None:
                    await self._made(loan)
                failures = 0
            except MeltemiError as error:
                failures += 1
                _log.warning("borrowing from other regions: %s", error)

    async def loan(self, content: str) -> Loan | None:
        """Tell what a content borrows."""
        return await self._loans.of(content)

    async def close(self) -> None:
        """End all connections."""
        for peer in self._peers.values():
            await peer.close()

    async def _wanted(self, record: Record, context: Context) -> Loan | None:
        """Say what an image may borrow, and from where; None where there is nothing."""
        parent = record.image.properties.get(PARENT, "")
        if not self._peers or not _ID.fullmatch(parent) or record.content is None:
            return None
        hold = str(uuid4())
        with suppress(VanishedError):
            found = await self._catalogue.get(parent, context.viewer)
            target = of_image(context, found.image)
            if not self._policy.allows(context, "download_image", target) or not found.content:
                return None
            loan = await self._loans.of(found.content) if is_borrowed(found.content) else None
            # What the parent has here, is here once.
            return loan and Loan(hold, loan.region, loan.hold, record.content)
        for peer in self._peers.values():
            if await peer.lends(parent, context.token):
                return Loan(hold, peer.name, parent, record.content)
        return None

    async def _made(self, loan: Loan) -> None:
        """Make or end a loan that this process holds; where that fails, hold it no longer."""
        try:
            if not await self._loans.is_used(loan.hold) or not await self._filled(loan):
                await self._end(loan)
        except BaseException:
            with suppress(MeltemiError):  # it is this process's to claim again, anyway
                await asyncio.shield(self._loans.release(loan.hold, self._holder))
            raise

    async def _filled(self, loan: Loan) -> bool:
        """Put what borrows in place of what does not; say whether it was worth it."""
        child = loan.source.partition("/")[0]
        whole = await self._loans.whole(loan.source)
        peer = self._peer(loan)
        if whole.hashes.value is None:
            return False
        try:
            await peer.hold(loan.hold, loan.parent, child)
        except VanishedError:
            return False
        name = name_of_borrowed(child, self._holder)
        own = await make(self._pieces, peer, loan, whole, name)
        if own is None:
            return False
        content = replace(whole, id=name)
        try:
            await self._loans.fill(loan.hold, content, own, self._holder)
        except MeltemiError:
            # Whether it was done may not be known: then it is let go only if nobody has it.
            if not await self._catalogue.known([name]):
                await self._contents.let_go(name)
            raise
        _log.info("image %s: it borrows from %s, and has %d bytes itself", child, peer.name, own)
        return True

    async def _end(self, loan: Loan) -> None:
        await self._peer(loan).let_go(loan.hold)
        await self._loans.end(loan.hold)

    def _peer(self, loan: Loan) -> Peer:
        if loan.region not in self._peers:
            told = f"image {loan.hold} is held at {loan.region}, which is not among peers any more"
            raise UnavailableError(told, told=AWAY)
        return self._peers[loan.region]

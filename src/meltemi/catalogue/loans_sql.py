"""What images borrow from other regions, in a database."""

from functools import partial

from meltemi.catalogue import loans
from meltemi.catalogue.database import Database
from meltemi.model.record import Content, Loan


class SqlLoans:
    """Loans in SQLite or PostgreSQL; see `Loans` for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, loan: Loan) -> None:
        """Take one in that is to be made."""
        await self._database.write(partial(loans.begin, loan=loan))

    async def claim_next(self, holder: str) -> Loan | None:
        """Hold the next one that is to be made or ended."""
        return await self._database.write(partial(loans.claim_next, holder=holder))

    async def is_used(self, hold: str) -> bool:
        """Say whether images have the data that one is for."""
        return await self._database.read(partial(loans.is_used, hold=hold))

    async def fill(self, hold: str, content: Content, own: int, holder: str) -> None:
        """Let images have a content that borrows."""
        work = partial(loans.fill, hold=hold, content=content, own=own, holder=holder)
        await self._database.write(work)

    async def release(self, hold: str, holder: str) -> None:
        """Hold one no longer."""
        await self._database.write(partial(loans.release, hold=hold, holder=holder))

    async def end(self, hold: str) -> None:
        """Strike one out."""
        await self._database.write(partial(loans.end, hold=hold))

    async def of(self, content: str) -> Loan | None:
        """Give what a content borrows."""
        return await self._database.read(partial(loans.of, content=content))

    async def whole(self, content: str) -> Content:
        """Give a content with its sizes and hashes."""
        return await self._database.read(partial(loans.whole, content=content))

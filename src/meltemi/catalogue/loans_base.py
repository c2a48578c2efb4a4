"""The contract about what images borrow from other regions."""

from typing import Protocol

from meltemi.model.record import Content, Loan


class Loans(Protocol):
    """The images that other regions hold for images of this one.

    What holds for `Catalogue` holds here: every call is one transaction, from any process. A loan
    is written down before its hold is made, and struck out after the hold is gone.
    """

    async def begin(self, loan: Loan) -> None:
        """Take one in that is to be made."""

    async def claim_next(self, holder: str) -> Loan | None:
        """Hold the next one that is to be made or ended, and count one more try of it.

        Not one that another holds who lives. One is to be ended where no image has its data any
        more: its content, or its source where that has not become a content that borrows yet.
        """

    async def is_used(self, hold: str) -> bool:
        """Say whether images have the data that one is for."""

    async def fill(self, hold: str, content: Content, own: int, holder: str) -> None:
        """Let all images that have a loan's source have a content instead that borrows.

        From one moment to the next; the source is loose then. Raise ConflictError where none has
        it any more, and where the holder does not hold the loan.
        """

    async def release(self, hold: str, holder: str) -> None:
        """Hold one no longer."""

    async def end(self, hold: str) -> None:
        """Strike one out; its hold is gone."""

    async def of(self, content: str) -> Loan | None:
        """Give what a content borrows; None where it borrows nothing."""

    async def whole(self, content: str) -> Content:
        """Give a content with its sizes and hashes; ConflictError where it is gone."""

"""The catalogue's database."""

from meltemi import transactions
from meltemi.errors import CatalogueError


class Database(transactions.Database):
    """Runs the catalogue's work in transactions, in threads of their own."""

    def __init__(self, url: str) -> None:
        super().__init__(url, holds="a catalogue", error=CatalogueError)

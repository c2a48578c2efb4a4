"""Types of columns that SQLite and PostgreSQL treat alike."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB

ORDERED: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is ordered by bytes, as SQLite does: not by where a database was made."""

DOCUMENT: Final = JSON().with_variant(JSONB(), "postgresql")

NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A number that a database counts up by itself."""

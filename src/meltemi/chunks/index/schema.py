"""The tables of the index, for SQLite and PostgreSQL alike.

There is a row for each blob that is stored and none for a reference. What a pack holds stands in
its own footer, so no second way from packs to blobs is kept here.
"""

from enum import IntEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

VERSION: Final = 1


class State(IntEnum):
    """What a pack or a head is, as far as the index knows."""

    COMING = 0
    LIVE = 1
    RETIRING = 2
    GONE = 3


metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`schema`, the version; `published`, how many heads ever were; `scrub`, the round under way."""

owner = Table("owner", metadata, Column("store", String(64), primary_key=True))
"""The id of the store that this is the index of, once it is built."""

packs = Table(
    "packs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("state", SmallInteger, nullable=False),
    Column("size", BigInteger, nullable=False, default=0),
    Column("session", BigInteger),  # whose it is, until that ends
    Column("noted", BigInteger),  # the newest session when it was retired
    Column("scrubbed", BigInteger, nullable=False, default=0),  # in which round
    sqlite_autoincrement=True,
)

blobs = Table(
    "blobs",
    metadata,
    Column("id", LargeBinary(33), primary_key=True),
    Column("pack", Integer, nullable=False),
    Column("offset", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Column("coding", SmallInteger, nullable=False),
    Column("seal", BigInteger, nullable=False),  # of all that stands before it
    Column("bad", Boolean, nullable=False, default=False),
    sqlite_with_rowid=False,
)

heads = Table(
    "heads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, unique=True),  # free again as soon as the head is to go
    Column("state", SmallInteger, nullable=False),
    Column("session", BigInteger),
    Column("record", Text, nullable=False),  # what its object says
)

sessions = Table(
    "sessions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("beats", BigInteger, nullable=False, default=0),
    Column("seen", Float, nullable=False),  # seconds since 1970 by the writer's clock
    Column("holder", Text, nullable=False),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("session", BigInteger, nullable=False),
)

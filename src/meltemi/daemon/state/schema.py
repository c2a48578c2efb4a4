"""The tables of the daemon's state, for SQLite and PostgreSQL alike.

`versions/` makes these tables; a change here needs a revision there. Times are seconds since 1970.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

# By bytes, as SQLite does: the order must not depend on where a database was made.
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
DOCUMENT: Final = JSON().with_variant(JSONB(), "postgresql")
NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

placements = Table(
    "placements",
    metadata,
    Column("source", TEXT, primary_key=True),
    Column("image", TEXT, primary_key=True),
    Column("library", TEXT, primary_key=True),
    Column("route", TEXT, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("observed", TEXT, nullable=False),
    Column("since", Double, nullable=False),
    Column("name", TEXT),
    Column("owner", TEXT),
    Column("detail", Text, nullable=False),
    Column("behind", Double),
    Column("run", BigInteger),
    Column("size", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Double),
    Column("target_id", TEXT),
    Index("placements_by_image", "image"),
    Index("placements_by_name", "name"),
    Index("placements_by_owner", "owner"),
    Index("placements_by_observation", "observed"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("image", TEXT, nullable=False),
    Column("library", TEXT, nullable=False),
    Column("route", TEXT, nullable=False),
    Column("name", TEXT),
    Column("owner", TEXT),
    Column("wanted", Boolean, nullable=False),
    Column("observed", TEXT, nullable=False),
    Column("detail", Text, nullable=False),
    Column("run", BigInteger),
    Column("size", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    Index("changes_by_time", "at"),
    Index("changes_by_image", "image", "id"),
)
"""The history of placements: a row for every change of what is wanted or observed.

`moved` is how many bytes crossed the wire for it since the change before.
"""

runs = Table(
    "runs",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("route", TEXT, nullable=False),
    Column("cause", TEXT, nullable=False),
    Column("libraries", DOCUMENT, nullable=False),
    Column("images", BigInteger),
    Column("began", Double, nullable=False),
    Column("ended", Double),
    Column("result", TEXT),
    Column("detail", Text, nullable=False),
    Column("in_sync", BigInteger, nullable=False),
    Column("planned", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    Column("holder", TEXT, nullable=False),
    Index("runs_by_time", "began"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("cause", TEXT, nullable=False),
    Column("route", TEXT),
    Column("source", TEXT),
    Column("image", TEXT),
    Column("library", TEXT),
)
"""What is to be looked at, told to whichever daemon answered, done by the one that leads."""

pauses = Table(
    "pauses",
    metadata,
    Column("kind", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("at", Double, nullable=False),
    Column("by", TEXT, nullable=False),
)
"""Routes and libraries that are to be left alone."""

leases = Table(
    "leases",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("holder", TEXT, nullable=False),
    Column("until", Double, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("source", TEXT, primary_key=True),
    Column("image", TEXT, primary_key=True),
    Column("name", TEXT),
    Column("owner", TEXT),
    Column("text", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("problem", Text, nullable=False),
    Index("answers_by_owner", "owner"),
)
"""What owners are told of the regions that they have chosen for an image."""

credentials = Table(
    "credentials",
    metadata,
    Column("owner", TEXT, primary_key=True),
    Column("library", TEXT, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("by", TEXT, nullable=False),
)
"""What owners let the daemon use in libraries that it has no account on, encrypted."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("signature", TEXT, primary_key=True),
    Column("at", Double, nullable=False),
    Index("deliveries_by_time", "at"),
)
"""What the webhook has taken in, as long as it could be sent once more."""

names = Table(
    "names",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)
"""What this state's daemons call themselves elsewhere."""

acts = Table(
    "acts",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("role", TEXT),
    Column("project", TEXT),
    Column("action", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("result", TEXT, nullable=False),
    Column("request_id", TEXT, nullable=False),
    Index("acts_by_time", "at"),
)
"""The audit log: what somebody did over the API, or was not allowed to do."""

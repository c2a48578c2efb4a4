"""The tables of the daemon's state, for SQLite and PostgreSQL alike.

`versions/` makes these tables; a change here needs a revision there. Times are seconds since 1970.
"""

from typing import Any, Final

from sqlalchemy import (
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
from sqlalchemy.types import TypeDecorator

from meltemi.columns import DOCUMENT, NUMBER, ORDERED

_LARGEST: Final = 2**63 - 1


class Foreign(TypeDecorator[str]):
    """Text that libraries have given, whatever it is; what not every database holds is replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Any) -> str | None:  # noqa: ARG002
        """Write it."""
        if value is None:
            return None
        text = str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
        return text.encode(errors="replace").decode()


class Bytes(TypeDecorator[int]):
    """A number of bytes that a library has given; more than can be is kept as the most."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> int | None:  # noqa: ARG002
        """Write it."""
        return None if value is None else min(value, _LARGEST)


FOREIGN: Final = Foreign().with_variant(Foreign(collation="C"), "postgresql")
"""Ordered by bytes, too."""


class Whole(TypeDecorator[int]):
    """Whole numbers of any size, in decimal digits: neither database has such numbers for all."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Write it."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> int | None:  # noqa: ARG002
        """Read it."""
        return None if value is None else int(value)


metadata = MetaData()

placements = Table(
    "placements",
    metadata,
    Column("source", FOREIGN, primary_key=True),
    Column("image", FOREIGN, primary_key=True),
    Column("library", FOREIGN, primary_key=True),
    Column("route", ORDERED, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("observed", ORDERED, nullable=False),
    Column("since", Double, nullable=False),
    Column("name", FOREIGN),
    Column("owner", FOREIGN),
    Column("detail", Foreign, nullable=False),
    Column("behind", Double),
    Column("run", BigInteger),
    Column("size", Bytes, nullable=False),
    Column("done", Bytes, nullable=False),
    Column("total", Bytes, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Double),
    Column("target_id", FOREIGN),
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
    Column("source", FOREIGN, nullable=False),
    Column("image", FOREIGN, nullable=False),
    Column("library", FOREIGN, nullable=False),
    Column("route", ORDERED, nullable=False),
    Column("name", FOREIGN),
    Column("owner", FOREIGN),
    Column("wanted", Boolean, nullable=False),
    Column("observed", ORDERED, nullable=False),
    Column("detail", Foreign, nullable=False),
    Column("run", BigInteger),
    Column("size", Bytes, nullable=False),
    Column("moved", Bytes, nullable=False),
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
    Column("route", ORDERED, nullable=False),
    Column("cause", ORDERED, nullable=False),
    Column("libraries", DOCUMENT, nullable=False),
    Column("images", BigInteger),
    Column("began", Double, nullable=False),
    Column("ended", Double),
    Column("result", ORDERED),
    Column("detail", Text, nullable=False),
    Column("in_sync", BigInteger, nullable=False),
    Column("planned", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    Column("holder", ORDERED, nullable=False),
    Index("runs_by_time", "began"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("cause", ORDERED, nullable=False),
    Column("route", ORDERED),
    Column("source", ORDERED),
    Column("image", ORDERED),
    Column("library", ORDERED),
)
"""What is to be looked at, told to whichever daemon answered, done by the one that leads."""

pauses = Table(
    "pauses",
    metadata,
    Column("kind", ORDERED, primary_key=True),
    Column("name", ORDERED, primary_key=True),
    Column("at", Double, nullable=False),
    Column("by", ORDERED, nullable=False),
)
"""Routes and libraries that are to be left alone."""

troubles = Table(
    "troubles",
    metadata,
    Column("route", ORDERED, primary_key=True),
    Column("library", ORDERED, primary_key=True),
    Column("reason", Text, nullable=False),
)
"""Why targets are left alone for a while, since they, or the source, failed."""

leases = Table(
    "leases",
    metadata,
    Column("name", ORDERED, primary_key=True),
    Column("holder", ORDERED, nullable=False),
    Column("until", Double, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("source", ORDERED, primary_key=True),
    Column("image", FOREIGN, primary_key=True),
    Column("name", FOREIGN),
    Column("owner", FOREIGN),
    Column("text", Foreign, nullable=False),
    Column("at", Double, nullable=False),
    Column("problem", Foreign, nullable=False),
    Index("answers_by_owner", "owner"),
)
"""What owners are told of the regions that they have chosen for an image."""

credentials = Table(
    "credentials",
    metadata,
    Column("owner", ORDERED, primary_key=True),
    Column("library", ORDERED, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("by", ORDERED, nullable=False),
)
"""What owners let the daemon use in libraries that it has no account on, encrypted."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("signature", ORDERED, primary_key=True),
    Column("at", Double, nullable=False),
    Index("deliveries_by_time", "at"),
)
"""What the webhook has taken in, as long as it could be sent once more."""

names = Table(
    "names",
    metadata,
    Column("name", ORDERED, primary_key=True),
    Column("value", ORDERED, nullable=False),
)
"""What this state's daemons call themselves elsewhere."""

acts = Table(
    "acts",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", ORDERED, nullable=False),
    Column("role", ORDERED),
    Column("project", ORDERED),
    Column("action", ORDERED, nullable=False),
    Column("subject", ORDERED, nullable=False),
    Column("result", ORDERED, nullable=False),
    Column("request_id", ORDERED, nullable=False),
    Index("acts_by_time", "at"),
)
"""The audit log: what somebody did over the API, or was not allowed to do."""

usage = Table(
    "usage",
    metadata,
    Column("day", ORDERED, primary_key=True),
    Column("project", ORDERED, primary_key=True),
    Column("library", ORDERED, primary_key=True),
    Column("moved", BigInteger, nullable=False),
    Column("stored", Whole, nullable=False),
)
"""Bytes moved, and bytes times milliseconds stored, as far as `usage_balances` are."""

usage_balances = Table(
    "usage_balances",
    metadata,
    Column("project", ORDERED, primary_key=True),
    Column("library", ORDERED, primary_key=True),
    Column("stored", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False),
)
"""How many bytes are stored, and until when, in milliseconds, and which change that is metered."""

usage_holdings = Table(
    "usage_holdings",
    metadata,
    Column("source", ORDERED, primary_key=True),
    Column("image", ORDERED, primary_key=True),
    Column("library", ORDERED, primary_key=True),
    Column("project", ORDERED, nullable=False),
    Column("observed", ORDERED, nullable=False),
    Column("stored", BigInteger, nullable=False),
)
"""What is stored, as of the last change that is metered."""

"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "placements",
        sa.Column("source", _TEXT, primary_key=True),
        sa.Column("image", _TEXT, primary_key=True),
        sa.Column("library", _TEXT, primary_key=True),
        sa.Column("route", _TEXT, nullable=False),
        sa.Column("wanted", sa.Boolean, nullable=False),
        sa.Column("observed", _TEXT, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("name", _TEXT),
        sa.Column("owner", _TEXT),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("behind", sa.Double),
        sa.Column("run", sa.BigInteger),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.Double),
        sa.Column("target_id", _TEXT),
    )
    op.create_index("placements_by_image", "placements", ["image"])
    op.create_table(
        "changes",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("image", _TEXT, nullable=False),
        sa.Column("library", _TEXT, nullable=False),
        sa.Column("route", _TEXT, nullable=False),
        sa.Column("name", _TEXT),
        sa.Column("owner", _TEXT),
        sa.Column("wanted", sa.Boolean, nullable=False),
        sa.Column("observed", _TEXT, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("run", sa.BigInteger),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("moved", sa.BigInteger, nullable=False),
    )
    op.create_index("changes_by_time", "changes", ["at"])
    op.create_index("changes_by_image", "changes", ["image", "id"])
    op.create_table(
        "runs",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("route", _TEXT, nullable=False),
        sa.Column("cause", _TEXT, nullable=False),
        sa.Column("libraries", _DOCUMENT, nullable=False),
        sa.Column("images", sa.BigInteger),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("result", _TEXT),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("in_sync", sa.BigInteger, nullable=False),
        sa.Column("planned", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("moved", sa.BigInteger, nullable=False),
        sa.Column("holder", _TEXT, nullable=False),
    )
    op.create_index("runs_by_time", "runs", ["began"])
    op.create_table(
        "requests",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("cause", _TEXT, nullable=False),
        sa.Column("route", _TEXT),
        sa.Column("source", _TEXT),
        sa.Column("image", _TEXT),
        sa.Column("library", _TEXT),
    )
    op.create_table(
        "pauses",
        sa.Column("kind", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("holder", _TEXT, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )

"""Usage by day."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "usage",
        sa.Column("day", _TEXT, primary_key=True),
        sa.Column("project", _TEXT, primary_key=True),
        sa.Column("library", _TEXT, primary_key=True),
        sa.Column("moved", sa.BigInteger, nullable=False),
        sa.Column("stored", sa.Text, nullable=False),
    )
    op.create_table(
        "usage_balances",
        sa.Column("project", _TEXT, primary_key=True),
        sa.Column("library", _TEXT, primary_key=True),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "usage_holdings",
        sa.Column("source", _TEXT, primary_key=True),
        sa.Column("image", _TEXT, primary_key=True),
        sa.Column("library", _TEXT, primary_key=True),
        sa.Column("project", _TEXT, nullable=False),
        sa.Column("observed", _TEXT, nullable=False),
        sa.Column("stored", sa.BigInteger, nullable=False),
    )

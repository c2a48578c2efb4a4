"""What comes in by events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "deliveries",
        sa.Column("signature", _TEXT, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("deliveries_by_time", "deliveries", ["at"])
    op.create_table(
        "names",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
    )

"""Why targets are left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make its table."""
    op.create_table(
        "troubles",
        sa.Column("route", _TEXT, primary_key=True),
        sa.Column("library", _TEXT, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
    )

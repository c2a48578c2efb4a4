"""Bindings on which rests what is known of data."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make their column."""
    op.add_column("contents", sa.Column("binding", sa.Text))

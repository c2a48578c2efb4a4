"""Adoption of a Glance."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make its tables."""
    op.create_table(
        "adoption",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("endpoint", _TEXT, nullable=False),
        sa.Column("stage", _TEXT, nullable=False),
        sa.Column("follower", _TEXT),
        sa.Column("started_at", _TEXT, nullable=False),
        sa.Column("compared_at", _TEXT),
    )
    op.create_table(
        "adopted",
        sa.Column("image", _TEXT, sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("holder", _TEXT),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.Text),
    )
    op.create_table(
        "passings",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("holder", _TEXT, nullable=False),
    )

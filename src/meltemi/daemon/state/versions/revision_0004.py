"""What owners are told of the regions that they have chosen, and their credentials there."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "answers",
        sa.Column("source", _TEXT, primary_key=True),
        sa.Column("image", _TEXT, primary_key=True),
        sa.Column("name", _TEXT),
        sa.Column("owner", _TEXT),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
    )
    op.create_index("answers_by_owner", "answers", ["owner"])
    op.create_table(
        "credentials",
        sa.Column("owner", _TEXT, primary_key=True),
        sa.Column("library", _TEXT, primary_key=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
    )

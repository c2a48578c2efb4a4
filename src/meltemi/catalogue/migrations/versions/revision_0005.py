"""Parts of images that are put together."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "parts",
        sa.Column("image", _TEXT, sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", _TEXT, sa.ForeignKey("contents.id"), nullable=False, unique=True),
    )

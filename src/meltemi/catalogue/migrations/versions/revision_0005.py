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
        sa.Column("content", _TEXT, primary_key=True),
        sa.Column("image", _TEXT, sa.ForeignKey("images.id", ondelete="SET NULL")),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("image", "number", name="parts_by_number"),
    )

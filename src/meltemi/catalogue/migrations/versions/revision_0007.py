"""What images borrow from other regions."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make its table."""
    op.create_table(
        "loans",
        sa.Column("hold", _TEXT, primary_key=True),
        sa.Column("region", _TEXT, nullable=False),
        sa.Column("parent", _TEXT, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("content", _TEXT),
        sa.Column("own", sa.BigInteger),
        sa.Column("holder", _TEXT),
        sa.Column("tries", sa.BigInteger, nullable=False),
    )
    op.create_index("loans_by_content", "loans", ["content"])

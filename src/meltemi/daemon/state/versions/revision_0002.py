"""The audit log, and ways to look placements up."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_index("placements_by_name", "placements", ["name"])
    op.create_index("placements_by_owner", "placements", ["owner"])
    op.create_index("placements_by_observation", "placements", ["observed"])
    op.create_table(
        "acts",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.Column("role", _TEXT),
        sa.Column("project", _TEXT),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("result", _TEXT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
    )
    op.create_index("acts_by_time", "acts", ["at"])

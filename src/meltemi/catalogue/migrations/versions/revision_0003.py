"""Tasks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "tasks",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("type", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("holder", _TEXT),
        sa.Column("owner", _TEXT),
        sa.Column("input", _DOCUMENT),
        sa.Column("result", _DOCUMENT),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("image_id", _TEXT),
        sa.Column("user_id", _TEXT),
        sa.Column("request_id", _TEXT),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT, nullable=False),
        sa.Column("expires_at", _TEXT),
    )
    op.create_index("tasks_by_creation", "tasks", ["created_at", "id"])
    op.create_index("tasks_by_image", "tasks", ["image_id"])
    op.create_index("tasks_by_holder", "tasks", ["holder"])
    op.create_index("tasks_by_end", "tasks", ["expires_at"])

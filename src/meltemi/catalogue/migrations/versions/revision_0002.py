"""Metadata definitions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make their tables."""
    op.create_table(
        "namespaces",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("namespace", _TEXT, nullable=False, unique=True),
        sa.Column("owner", _TEXT),
        sa.Column("display_name", _TEXT),
        sa.Column("description", _TEXT),
        sa.Column("visibility", _TEXT, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT),
    )
    op.create_table(
        "definitions",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column(
            "namespace",
            sa.BigInteger,
            sa.ForeignKey("namespaces.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("document", _DOCUMENT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT),
        sa.UniqueConstraint("namespace", "kind", "name", name="definitions_by_name"),
    )
    op.create_table(
        "resource_types",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT),
    )

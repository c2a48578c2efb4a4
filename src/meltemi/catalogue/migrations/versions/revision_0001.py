"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table("ids", sa.Column("id", _TEXT, primary_key=True))
    op.create_table(
        "contents",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("virtual_size", sa.BigInteger),
        sa.Column("checksum", sa.Text),
        sa.Column("os_hash_algo", sa.Text),
        sa.Column("os_hash_value", sa.Text),
    )
    op.create_table(
        "images",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("content", _TEXT, sa.ForeignKey("contents.id")),
        sa.Column("name", _TEXT),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("holder", _TEXT),
        sa.Column("visibility", _TEXT, nullable=False),
        sa.Column("owner", _TEXT),
        sa.Column("size", sa.BigInteger),
        sa.Column("virtual_size", sa.BigInteger),
        sa.Column("checksum", _TEXT),
        sa.Column("os_hash_algo", _TEXT),
        sa.Column("os_hash_value", _TEXT),
        sa.Column("disk_format", _TEXT),
        sa.Column("container_format", _TEXT),
        sa.Column("min_disk", sa.BigInteger, nullable=False),
        sa.Column("min_ram", sa.BigInteger, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False),
        sa.Column("os_hidden", sa.Boolean, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT, nullable=False),
        sa.Column("tags", _DOCUMENT, nullable=False),
        sa.Column("properties", _DOCUMENT, nullable=False),
    )
    op.create_table(
        "holders",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "members",
        sa.Column("image", _TEXT, sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("project", _TEXT, primary_key=True),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("updated_at", _TEXT, nullable=False),
    )
    op.create_index("images_by_creation", "images", ["created_at", "id"])
    op.create_index("images_by_update", "images", ["updated_at", "created_at", "id"])
    op.create_index("images_by_name", "images", [sa.text("coalesce(name, '')"), "created_at", "id"])
    op.create_index("images_by_owner", "images", ["owner"])
    op.create_index("images_by_content", "images", ["content"])
    op.create_index("images_by_holder", "images", ["holder"])
    op.create_index("images_by_hash", "images", ["os_hash_value"])
    op.create_index("members_by_project", "members", ["project"])
    if op.get_context().dialect.name == "postgresql":
        for name in ("properties", "tags"):
            op.create_index(
                f"images_by_{name}",
                "images",
                [name],
                postgresql_using="gin",
                postgresql_with={"fastupdate": "off"},
                postgresql_ops={name: "jsonb_path_ops"},
            )

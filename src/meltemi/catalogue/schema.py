"""The tables of the catalogue, for SQLite and PostgreSQL alike.

An image is one row, its tags and properties with it. `migrations/` makes these tables; a change
here needs a revision there.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)

from meltemi.columns import DOCUMENT, NUMBER, ORDERED

metadata = MetaData()

ids = Table("ids", metadata, Column("id", ORDERED, primary_key=True))
"""Every id that an image has or ever had."""

contents = Table(
    "contents",
    metadata,
    Column("id", ORDERED, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("virtual_size", BigInteger),
    Column("checksum", Text),
    Column("os_hash_algo", Text),
    Column("os_hash_value", Text),
    Column("binding", Text),
)
"""Data that the chunk store has, and that images have or no image has any more."""

images = Table(
    "images",
    metadata,
    Column("id", ORDERED, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("content", ORDERED, ForeignKey("contents.id")),
    Column("name", ORDERED),
    Column("status", ORDERED, nullable=False),
    Column("holder", ORDERED),
    Column("visibility", ORDERED, nullable=False),
    Column("owner", ORDERED),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", ORDERED),
    Column("os_hash_algo", ORDERED),
    Column("os_hash_value", ORDERED),
    Column("disk_format", ORDERED),
    Column("container_format", ORDERED),
    Column("min_disk", BigInteger, nullable=False),
    Column("min_ram", BigInteger, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("created_at", ORDERED, nullable=False),  # ISO 8601 in UTC: its order is that of time
    Column("updated_at", ORDERED, nullable=False),
    Column("tags", DOCUMENT, nullable=False),
    Column("properties", DOCUMENT, nullable=False),
)

parts = Table(
    "parts",
    metadata,
    Column("content", ORDERED, primary_key=True),
    Column("image", ORDERED, ForeignKey("images.id", ondelete="SET NULL")),
    Column("number", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    UniqueConstraint("image", "number", name="parts_by_number"),
)
"""Data that came in advance, for images that are put together of it and of others.

Without an image, it is to be let go.
"""

holders = Table(
    "holders",
    metadata,
    Column("id", ORDERED, primary_key=True),
    Column("beats", BigInteger, nullable=False),
)
"""Processes that bring images their data, and how often their hearts have beaten."""

members = Table(
    "members",
    metadata,
    Column("image", ORDERED, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("project", ORDERED, primary_key=True),
    Column("status", ORDERED, nullable=False),
    Column("created_at", ORDERED, nullable=False),
    Column("updated_at", ORDERED, nullable=False),
)

NAMED = func.coalesce(images.c.name, literal_column("''"))
"""A name by which images can be ordered, also where they have none."""

Index("images_by_creation", images.c.created_at, images.c.id)
Index("images_by_update", images.c.updated_at, images.c.created_at, images.c.id)
Index("images_by_name", NAMED, images.c.created_at, images.c.id)
Index("images_by_owner", images.c.owner)
Index("images_by_content", images.c.content)
Index("images_by_holder", images.c.holder)
Index("images_by_hash", images.c.os_hash_value)
Index("members_by_project", members.c.project)
for column in (images.c.properties, images.c.tags):
    # Without fastupdate: images are read far more often than they are written.
    Index(
        f"images_by_{column.name}",
        column,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
        postgresql_ops={column.name: "jsonb_path_ops"},
    ).ddl_if(dialect="postgresql")

namespaces = Table(
    "namespaces",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("namespace", ORDERED, nullable=False, unique=True),
    Column("owner", ORDERED),
    Column("display_name", ORDERED),
    Column("description", ORDERED),
    Column("visibility", ORDERED, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("created_at", ORDERED, nullable=False),
    Column("updated_at", ORDERED),
)
"""Namespaces of metadata definitions."""

definitions = Table(
    "definitions",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column(
        "namespace", BigInteger, ForeignKey("namespaces.id", ondelete="CASCADE"), nullable=False
    ),
    Column("kind", ORDERED, nullable=False),
    Column("name", ORDERED, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    Column("created_at", ORDERED, nullable=False),
    Column("updated_at", ORDERED),
    UniqueConstraint("namespace", "kind", "name", name="definitions_by_name"),
)
"""What namespaces define."""

resource_types = Table(
    "resource_types",
    metadata,
    Column("name", ORDERED, primary_key=True),
    Column("created_at", ORDERED, nullable=False),
    Column("updated_at", ORDERED),
)
"""Every resource type that a namespace is or was associated with."""

tasks = Table(
    "tasks",
    metadata,
    Column("id", ORDERED, primary_key=True),
    Column("type", ORDERED, nullable=False),
    Column("status", ORDERED, nullable=False),
    Column("holder", ORDERED),
    Column("owner", ORDERED),
    Column("input", DOCUMENT),
    Column("result", DOCUMENT),
    Column("message", ORDERED, nullable=False),
    Column("image_id", ORDERED),
    Column("user_id", ORDERED),
    Column("request_id", ORDERED),
    Column("created_at", ORDERED, nullable=False),
    Column("updated_at", ORDERED, nullable=False),
    Column("expires_at", ORDERED),
)
"""Work that goes on after its request was answered; of images that may be gone."""

Index("tasks_by_creation", tasks.c.created_at, tasks.c.id)
Index("tasks_by_image", tasks.c.image_id)
Index("tasks_by_holder", tasks.c.holder)
Index("tasks_by_end", tasks.c.expires_at)

adoption = Table(
    "adoption",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("endpoint", ORDERED, nullable=False),
    Column("stage", ORDERED, nullable=False),
    Column("follower", ORDERED),
    Column("started_at", ORDERED, nullable=False),
    Column("compared_at", ORDERED),
)
"""The Glance that is, or was, adopted: one row or none. The follower compares the images."""

adopted = Table(
    "adopted",
    metadata,
    Column("image", ORDERED, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", ORDERED),
    Column("tries", BigInteger, nullable=False),
    Column("problem", Text),
)
"""Images that are a Glance's until its adoption is finished, and who brings their data."""

passings = Table(
    "passings",
    metadata,
    Column("id", ORDERED, primary_key=True),
    Column("holder", ORDERED, nullable=False),
)
"""Changes that are being passed on to the Glance, and by whom."""

loans = Table(
    "loans",
    metadata,
    Column("hold", ORDERED, primary_key=True),
    Column("region", ORDERED, nullable=False),
    Column("parent", ORDERED, nullable=False),
    Column("source", ORDERED, nullable=False),
    Column("content", ORDERED),
    Column("own", BigInteger),
    Column("holder", ORDERED),
    Column("tries", BigInteger, nullable=False),
)
"""Images that other regions hold for images of this one, and who is about to make or end that."""

Index("loans_by_content", loans.c.content)

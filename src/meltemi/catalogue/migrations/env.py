"""What alembic runs to upgrade: on a connection whose transaction has begun and ends elsewhere."""

from alembic import context

from meltemi.catalogue.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()

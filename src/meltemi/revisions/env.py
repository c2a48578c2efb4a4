"""What alembic runs to upgrade: on a connection whose transaction has begun and ends elsewhere."""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["version_table"])
context.run_migrations()

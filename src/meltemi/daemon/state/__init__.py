"""What daemons remember, and share where several use one PostgreSQL."""

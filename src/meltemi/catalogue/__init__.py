"""Image metadata of a region: one contract, kept in SQLite or PostgreSQL."""

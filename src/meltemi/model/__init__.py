"""Plain immutable data: what images, members and plans are. No I/O."""

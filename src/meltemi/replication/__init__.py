"""What to replicate and how: selection, mapping and plans as pure functions; then the engine."""

"""How fast a daemon is."""

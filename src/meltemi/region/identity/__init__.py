"""How a region learns who asks."""

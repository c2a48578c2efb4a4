"""How fast images are exchanged between regions, and what crosses the wire."""

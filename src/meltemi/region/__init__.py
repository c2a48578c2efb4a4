"""The Image service of a region: the Image API v2 over the chunk store."""

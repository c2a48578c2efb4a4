"""Where the objects of a chunk store lie."""

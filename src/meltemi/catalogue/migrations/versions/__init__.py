"""The revisions, in order; `env.py` runs them."""

"""Archives on chunk stores: what `dump --dedup` writes, every distinct piece of data once.

docs/archive-format.md says what lies there and why.
"""

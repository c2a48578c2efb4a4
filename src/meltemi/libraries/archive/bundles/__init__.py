"""Bundles: what one deduplicated archive has and another lacks, in files (docs/bundles.md)."""

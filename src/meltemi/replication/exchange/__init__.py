"""Copying images between libraries that exchange: only what the target lacks (docs/exchange.md)."""

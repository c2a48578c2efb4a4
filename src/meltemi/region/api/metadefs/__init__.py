"""Metadata definitions as the API has them."""

from meltemi.region.api.metadefs.routes import ROUTES

__all__ = ["ROUTES"]

"""Glance, or whatever else speaks the OpenStack Image API v2."""

from meltemi.libraries.glance.library import GlanceLibrary

__all__ = ["GlanceLibrary"]

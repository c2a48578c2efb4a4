"""The Image API v2, a module for each resource."""

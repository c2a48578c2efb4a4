"""The region service beside a real Glance."""

"""Standing in front of a Glance whose images a region takes over."""

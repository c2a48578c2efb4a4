"""Where images are: Glance services and archives behind one protocol."""

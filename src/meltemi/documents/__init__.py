"""Files that people write: read as plain data, checked, every mistake named with its line."""

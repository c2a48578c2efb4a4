"""What the daemon costs."""

"""What tells a daemon at once that images have changed: notifications, and a webhook."""

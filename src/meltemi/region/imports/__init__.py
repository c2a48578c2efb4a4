"""Data of images that is fetched from elsewhere, or was staged."""

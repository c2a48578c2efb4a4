"""Data of images on its way in and out."""

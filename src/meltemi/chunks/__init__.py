"""The chunk store: every distinct piece of image data once. Its formats: docs/chunk-store.md."""

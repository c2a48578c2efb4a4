"""Images that keep only what their parent in another region lacks (docs/snapshots.md)."""

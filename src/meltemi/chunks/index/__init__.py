"""The index: where each blob lies, and where writers and collectors meet."""

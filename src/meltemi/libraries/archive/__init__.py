"""Archives: images at rest in a folder, what `dump` writes and `load` reads.

docs/archive-format.md says what lies there and why.
"""

from meltemi.libraries.archive.opening import open_archive
from meltemi.libraries.archive.verifiable import Verifiable

__all__ = ["Verifiable", "open_archive"]

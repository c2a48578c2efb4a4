"""Archives: images at rest in a folder, or in a bucket; what `dump` writes and `load` reads.

docs/archive-format.md says what lies there and why.
"""

from meltemi.libraries.archive.absent import AbsentArchive
from meltemi.libraries.archive.choosing import open_any
from meltemi.libraries.archive.opening import open_archive
from meltemi.libraries.archive.unmade import UnmadeArchive

__all__ = ["AbsentArchive", "UnmadeArchive", "open_any", "open_archive"]

"""Archives: images at rest in a folder, what `dump` writes and `load` reads.

docs/archive-format.md says what lies there and why.
"""

from meltemi.libraries.archive.absent import AbsentArchive, is_absent
from meltemi.libraries.archive.opening import open_archive
from meltemi.libraries.archive.unmade import UnmadeArchive

__all__ = ["AbsentArchive", "UnmadeArchive", "is_absent", "open_archive"]

"""The memory of a process: what many streams took goes back to the system when they are done.

By itself the C library keeps it, for each thread apart: a region that once took in 16 images at the
same time would hold 750 MiB for ever instead of 260.
"""

import ctypes
from typing import Final

# Of mallopt(3).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_LARGE: Final = 2**19
"""Bytes from which a buffer is asked of the system, and given back to it, by itself."""


def give_memory_back() -> None:
    """See to it, before there are threads; other C libraries than glibc are left alone."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (
            (_ARENA_MAX, 2),
            (_MMAP_THRESHOLD, _LARGE),
            (_TRIM_THRESHOLD, 2 * _LARGE),
        ):
            mallopt(parameter, value)

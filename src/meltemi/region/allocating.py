"""The memory of a process: what many streams took goes back to the system when they are done.

By itself the C library keeps it, for each thread apart: a region that once took in 16 images at the
same time would hold 640 MiB for ever instead of 330.
"""

import ctypes
from typing import Final

# Of mallopt(3).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_LARGE: Final = 3 * 2**19
"""Bytes from which a buffer is asked of the system, and given back to it, by itself: more than what
data is cut from, which would cost the system's time again and again."""


def give_memory_back() -> None:
    """See to it, before there are threads; other C libraries than glibc are left alone."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (
            (_ARENA_MAX, 2),
            (_MMAP_THRESHOLD, _LARGE),
            (_TRIM_THRESHOLD, _LARGE),
        ):
            mallopt(parameter, value)

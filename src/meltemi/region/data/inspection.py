"""Looking at data on its way in: whether it is what was declared, and safe to boot from.

The judgement is that of oslo.utils' format inspector, which Glance and Nova trust.
"""

from typing import IO, Final, cast

from oslo_utils.imageutils import format_inspector

from meltemi.errors import MediaTypeError

_LENIENT: Final = ("aki", "ari")
"""Kernels and ramdisks may hold what looks like a broken boot sector."""


class Inspection:
    """Looks at one image's data as it comes; only `bare` containers have an inside to look at."""

    def __init__(self, disk_format: str | None, container_format: str | None) -> None:
        self._declared = disk_format
        self._stream: _Stream | None = None
        if container_format == "bare":
            self._stream = _Stream()

    def look(self, data: bytes) -> None:
        """Take in the next data; raise MediaTypeError as soon as it is known to be bad."""
        if self._stream is None:
            return
        try:
            self._stream.feed(data)
        except format_inspector.ImageFormatError as error:
            raise MediaTypeError(str(error)) from error

    def finish(self) -> int | None:
        """Judge the whole; give the size in bytes of the disk within, where that is known.

        Raise MediaTypeError where the data is not what was declared, or not safe.
        """
        if self._stream is None:
            return None
        try:
            return self._judge(self._stream.finish())
        except format_inspector.ImageFormatError as error:
            raise MediaTypeError(str(error)) from error

    def _judge(self, wrapper: format_inspector.InspectWrapper) -> int | None:
        found = {str(match): match for match in wrapper.formats or ()}
        # Bootable ISOs may have a partition table in front.
        inspector = found["iso"] if found.keys() == {"iso", "gpt"} else wrapper.format
        if inspector is None:
            raise MediaTypeError("Image format inspection failed")
        kind, size = str(inspector), None
        if kind == self._declared:
            size = inspector.virtual_size
        elif self._declared == "raw":
            size = inspector.actual_size
        elif kind != "raw" or self._declared in format_inspector.ALL_FORMATS:
            raise MediaTypeError(
                f"Image disk_format {self._declared} does not match stream data {kind}"
            )
        try:
            inspector.safety_check()
        except format_inspector.SafetyCheckFailed as error:
            fatal = set(error.failures)
            if self._declared in _LENIENT:
                fatal.discard("mbr")
            if kind != "gpt" or fatal:
                raise MediaTypeError("Image failed safety checks") from error
        return size or None


class _Stream:
    """Feeds an inspector that would rather read a file."""

    def __init__(self) -> None:
        self._pending = b""
        self._wrapper = format_inspector.InspectWrapper(cast("IO[bytes]", self))

    def read(self, _size: int) -> bytes:
        data, self._pending = self._pending, b""
        return data

    def feed(self, data: bytes) -> None:
        self._pending = data
        self._wrapper.read(len(data))

    def finish(self) -> format_inspector.InspectWrapper:
        self._wrapper.close()
        return self._wrapper

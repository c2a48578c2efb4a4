"""Which part of an image's data a request asks for (RFC 9110, section 14), as Glance reads it."""

import re

from multidict import MultiMapping

from meltemi.errors import RangeError, RefusedError


def asked_range(headers: MultiMapping[str], size: int) -> tuple[int, int] | None:
    """Give the first byte asked for and the one behind the last, or None for all.

    `Content-Range` in a request is not right, but old clients send it.
    """
    if (text := headers.get("Range")) is not None:
        return _of_range(text, size)
    if (text := headers.get("Content-Range")) is not None:
        return _of_content_range(text, size)
    return None


def _of_range(text: str, size: int) -> tuple[int, int]:
    if "," in text:
        raise RefusedError(
            "Requests with multiple ranges are not supported in Glance. You may make multiple "
            "single-range requests instead."
        )
    found = re.fullmatch(r"\s*bytes\s*=\s*(?:(\d+)\s*-\s*(\d*)|-\s*(\d+))\s*", text, re.IGNORECASE)
    if not found:
        raise RangeError("Invalid Range header.")
    first, last, tail = found.groups()
    if tail is not None:
        if int(tail) == 0:
            raise RangeError("Invalid Range header.")
        return max(0, size - int(tail)), size
    begin = int(first)
    end = int(last) + 1 if last else size
    if end <= begin and last:
        raise RangeError("Invalid Range header.")
    if begin >= size:
        raise RangeError(
            "Invalid start position in Range header. Start position MUST be in the inclusive "
            f"range [0, {size - 1}]."
        )
    return begin, min(end, size)


def _of_content_range(text: str, size: int) -> tuple[int, int]:
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", text)
    if not found or int(found[1]) > int(found[2]):
        raise RangeError("Invalid Content-Range header.")
    begin, end = int(found[1]), int(found[2]) + 1
    if found[3] != "*" and end > int(found[3]):
        raise RangeError("Invalid Content-Range header.")
    if end > size:
        raise RangeError(
            "Invalid stop position in Content-Range header. The stop position MUST be in the "
            f"inclusive range [0, {size - 1}]."
        )
    if begin >= size:
        raise RangeError(
            "Invalid start position in Content-Range header. Start position MUST be in the "
            f"inclusive range [0, {size - 1}]."
        )
    return begin, end

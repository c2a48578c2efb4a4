"""Unsigned LEB128 in its shortest form, as in DWARF and WebAssembly, up to 2^64."""

from typing import Final

_MORE: Final = 0x80
_LARGEST: Final = 2**64
_MOST_SHIFTED: Final = 63


def put_number(out: bytearray, value: int) -> None:
    """Append a number."""
    while value >= _MORE:
        out.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    out.append(value)


def take_number(data: bytes | memoryview, place: int) -> tuple[int, int]:
    """Read the number at a place; give it and the place behind it.

    Raise ValueError where it ends in the middle, or is longer than it has to be.
    """
    value = shift = 0
    while shift <= _MOST_SHIFTED:
        if place >= len(data):
            raise ValueError("it ends in the middle of a number")
        byte = data[place]
        place += 1
        value |= (byte & (_MORE - 1)) << shift
        if byte < _MORE:
            if (not byte and shift) or value > _LARGEST:
                break
            return value, place
        shift += 7
    raise ValueError("a number that is too long")

"""What somebody may do with a daemon."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Each may do what those before it may."""

    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Say whether who has this role may do what takes the other one."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER: Final = tuple(Role)

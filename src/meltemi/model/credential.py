"""An application credential: what lets a program act in a project without anybody's password."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credential:
    """An application credential of Keystone's. Its secret is in no text that is made of it."""

    id: str
    secret: str = field(repr=False)

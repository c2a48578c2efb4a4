"""Tokens, as far as anybody but the identity service can tell."""

import re
from typing import Final

_TOKEN: Final = re.compile(r"[!-~]*", re.ASCII)


def is_token(text: str) -> bool:
    """Say whether a text can be sent as a token: in a header, what is no ASCII means other things.

    A line break would even begin another header.
    """
    return _TOKEN.fullmatch(text) is not None

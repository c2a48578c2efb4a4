"""Locations of a region: what they name, and what they do not."""

import pytest

from meltemi.model.image import Hashes
from meltemi.model.location import location_of, parse_location

HASHES = Hashes("md5", "sha512", "0123abcdef")
URL = "meltemi://chunks/sha512/0123abcdef"


def test_a_location_names_the_data_by_its_hash() -> None:
    assert location_of("chunks", HASHES) == URL
    assert parse_location("chunks", URL) == Hashes(None, "sha512", "0123abcdef")
    assert parse_location("tape", URL) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://chunks/sha512/01",
        "meltemi:/chunks/sha512/01",
        "meltemi://chunks/sha512/",
        "meltemi://chunks//01",
        "meltemi://chunks/sha512/01/02",
        "meltemi://chunks/sha512/01?x",
        "meltemi://chunks/sha512/01\n",
        "meltemi://chunks/sha512/01AB",
        "meltemi://chunks/sha\x00512/01",
        "meltemi://user@chunks/sha512/01",
        " meltemi://chunks/sha512/01",
        "MELTEMI://chunks/sha512/01",
    ],
)
def test_what_names_nothing(url: str) -> None:
    assert parse_location("chunks", url) is None

"""Memory shared by those who write at once."""

from contextlib import ExitStack

import pytest

from meltemi.chunks.crowd import Crowd
from meltemi.chunks.opening import open_store


@pytest.mark.parametrize(
    ("writers", "share"), [(0, 64), (1, 64), (2, 32), (3, 21), (8, 8), (9, 8), (99, 8)]
)
def test_more_writers_take_less_each(writers: int, share: int) -> None:
    crowd = Crowd()
    with ExitStack() as joined:
        for _ in range(writers):
            joined.enter_context(crowd.joined())
        assert crowd.share(64, 8) == share
    assert crowd.share(64, 8) == 64


def test_uploads_to_a_store_are_counted_while_they_last(tmp_path: object) -> None:
    store = open_store(str(tmp_path), create=True)
    with ExitStack() as uploads:
        for _ in range(4):
            uploads.enter_context(store.writing())
        assert store.crowd.share(64, 8) == 16
    assert store.crowd.share(64, 8) == 64
    store.close()

"""Services that always fail: how often they are asked."""

import pytest

from meltemi.libraries.glance.http import ATTEMPTS
from tests.support.cli import meltemi
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy


@pytest.mark.parametrize(
    ("method", "path", "times"), [("PATCH", "", ATTEMPTS), ("PUT", FILE, 4), ("POST", "images$", 4)]
)
def test_a_request_that_always_fails_is_repeated_a_few_times(
    source: Service, target: Service, method: str, path: str, times: int
) -> None:
    """Not by everybody who had a part in it, or each would multiply the others' repetitions."""
    image = source.put("image", b"data", visibility="public")
    with Proxy(target.url) as proxy:
        proxy.fault(Fault(method, path, answer=500))
        done = meltemi("livecopy", source, proxy, code=3)
        assert "500" in done.about("image", image, "failed")
        assert len(proxy.of(method, path)) == times

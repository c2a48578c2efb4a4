"""An image that is to be used again, by fewer than before, is never to be used by all."""

from tests.support.cli import meltemi, succeed
from tests.support.glance import Service
from tests.support.proxy import Fault, Proxy


def test_it_is_private_before_it_is_active_again(source: Service, target: Service) -> None:
    image = source.put("image", b"data", visibility="public")
    source.act(image, "deactivate")
    succeed("livecopy", source, target)
    assert (target.show(image)["status"], target.show(image)["visibility"]) == (
        "deactivated",
        "public",
    )
    source.act(image, "reactivate")
    source.change(image, visibility="private", os_distro="debian")
    seen = []
    with Proxy(target.url) as proxy:

        def look() -> None:
            now = target.show(image)
            seen.append((now["status"], now["visibility"], now.get("os_distro")))

        proxy.fault(Fault("POST", "reactivate$", before=look))
        succeed("livecopy", source, proxy)
    assert seen == [("deactivated", "private", None)]
    now = target.show(image)
    assert (now["status"], now["visibility"], now["os_distro"]) == ("active", "private", "debian")
    assert succeed("livecopy", source, target).idle


def test_it_stays_private_where_the_reactivation_fails(source: Service, target: Service) -> None:
    """And the next run, which must not take that for the operator's wish, reactivates it."""
    image = source.put("image", b"data", visibility="public")
    source.act(image, "deactivate")
    succeed("livecopy", source, target)
    source.act(image, "reactivate")
    source.change(image, visibility="private")
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("POST", "reactivate$", answer=403))
        assert meltemi("livecopy", source, proxy).code == 3
    assert target.show(image)["visibility"] == "private"
    assert target.show(image)["status"] == "deactivated"
    succeed("livecopy", source, target)
    assert target.show(image)["status"] == "active"

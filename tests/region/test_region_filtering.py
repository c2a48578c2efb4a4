"""From where images may be fetched: what a URL says, where names lead, where redirects lead."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from meltemi.errors import InterruptedTransfer, RefusedError
from meltemi.region.imports.filtering import Filter
from meltemi.region.imports.web import Web
from meltemi.region.settings import WebDownload
from tests.support.websites import Website

PLAIN = Filter(WebDownload())


class Names(AbstractResolver):
    """Knows the addresses of names; each question gets the next answer, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = answers
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        self.asked += 1
        answers = self._answers[host.split(".", maxsplit=1)[0]]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for address in found
        ]

    async def close(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with Website() as made:
        yield made


def rules(site: Website | None = None, **given: tuple[object, ...]) -> WebDownload:
    """Give rules that let the port of a site pass."""
    ports = {"allowed_ports": (80, site.port)} if site else {}
    return WebDownload.model_validate({key: [*one] for key, one in {**ports, **given}.items()})


@pytest.mark.parametrize(
    "text",
    [
        "http://images.example/x",
        "https://images.example/x?y=%20#z",
        "HTTP://images.example:80/",
        "http://8.8.8.8/",
        "http://[2606:4700::1]/",
        "http://1.example./",
    ],
)
def test_what_is_fetched(text: str) -> None:
    assert PLAIN.read(text).scheme in ("http", "https")


@pytest.mark.parametrize(
    "text",
    [
        *(None, 7, "", "x", "//images.example/", "http:///x", "http:images.example", "file:///etc"),
        *("ftp://images.example/", "gopher://images.example:80/", "data:,x", "http://"),
        *("http://images.example:22/", "http://images.example:0/", "http://images.example:x/"),
        *("http://images.example:99999/", "http://images.example:-1/"),
        *("http://user@images.example/", "http://u:p@images.example/", "http://:@images.example/"),
        *("http://images.example\\@127.0.0.1/", "http://images.example /", "http://a\tb/"),
        *("http://images.example/\n", "http://im\u00e4ges.example/", "http://\u2460.0.0.1/"),
        *("http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://127.1/"),
        *("http://0x7f.0.0.1/", "http://127.0x0.0.1./", "http://0177.0.0.1/", "http://1.2.3.4.5/"),
        "http://[::1/",
    ],
)
def test_what_is_not_fetched(text: object) -> None:
    with pytest.raises(RefusedError, match="URI for web-download does not pass filtering"):
        PLAIN.read(text)


@pytest.mark.parametrize(
    ("given", "passes", "fails"),
    [
        ({"allowed_hosts": ("a.example",)}, "http://A.example./", "http://b.example/"),
        ({"disallowed_hosts": ("b.example",)}, "http://a.example/", "http://b.EXAMPLE/"),
        (
            {"allowed_hosts": ("a.example",), "disallowed_hosts": ("a.example",)},
            "http://a.example/",
            "http://b.example/",
        ),
        ({"allowed_hosts": ("::1",)}, "http://[0:0:0:0:0:0:0:1]/", "http://[::2]/"),
        ({"allowed_ports": (8080,)}, "http://a.example:8080/", "http://a.example/"),
        (
            {"allowed_ports": (), "disallowed_ports": (22,)},
            "http://a.example:23/",
            "http://a.example:22/",
        ),
        ({"allowed_schemes": ("https",)}, "https://a.example/", "http://a.example/"),
        (
            {"allowed_schemes": (), "disallowed_schemes": ("http",)},
            "https://a.example/",
            "http://a.example/",
        ),
    ],
)
def test_what_an_operator_says(given: dict[str, Any], passes: str, fails: str) -> None:
    chosen = Filter(rules(**given))
    chosen.read(passes)
    with pytest.raises(RefusedError):
        chosen.read(fails)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.0.8", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1"),
        *("2001:db8::1", "4000::1", "no address"),
    ],
)
def test_addresses_that_not_everybody_reaches(address: str) -> None:
    assert not PLAIN.admits("images.example", address)
    assert Filter(rules(allowed_hosts=("images.example",))).admits("images.example", address)
    assert not Filter(rules(allowed_hosts=(address,))).admits("images.example", address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_addresses_that_everybody_reaches(address: str) -> None:
    assert PLAIN.admits("images.example", address)
    assert not Filter(rules(disallowed_hosts=("8.8.8.8", "2606:4700:0::1"))).admits(
        "images.example", address
    )


async def test_names_that_lead_to_what_is_not_allowed() -> None:
    names = Names(good=[["8.8.8.8"]], mixed=[["10.0.0.1", "8.8.8.8"]], bad=[["127.0.0.1", "::1"]])
    web = Web(rules(), names)
    for text in ("http://good.example/", "http://mixed.example/"):
        assert await web.check(text) == text
    with pytest.raises(RefusedError, match=r"filtering: http://bad\.example/"):
        await web.check("http://bad.example/")
    for text in ("http://localhost/", "http://127.0.0.1/", "http://[::ffff:10.0.0.1]/"):
        with pytest.raises(RefusedError):
            await Web(rules()).check(text)
    allowed = Web(rules(allowed_hosts=("localhost", "127.0.0.1")))
    await allowed.check("http://localhost/")
    await allowed.check("http://127.0.0.1/")


async def fetched(web: Web, url: str) -> bytes:
    async with web.fetch(url) as found:
        return b"".join([piece async for piece in found.data])


async def test_a_name_that_leads_elsewhere_when_it_is_fetched(site: Website) -> None:
    site.put("/secret", b"secret")
    names = Names(turning=[["8.8.8.8"], ["127.0.0.1"]])
    web = Web(rules(site), names)
    url = f"http://turning.example:{site.port}/secret"
    asked = len(site.asked)
    await web.check(url)
    with pytest.raises(RefusedError, match="cannot be reached, or is not allowed"):
        await fetched(web, url)
    assert (names.asked, len(site.asked)) == (2, asked)
    allowed = Web(rules(site, allowed_hosts=("turning.example",)), names)
    assert await fetched(allowed, url) == b"secret"


async def test_redirects_lead_only_where_users_may_go(site: Website) -> None:
    names = Names(good=[["127.0.0.1"]], inner=[["127.0.0.1"]])
    web = Web(rules(site, allowed_hosts=("good.example",)), names)
    good, port = f"http://good.example:{site.port}", site.port
    site.put("/data", b"data")
    site.put("/relative", status=302, headers={"Location": "/data"})
    site.put("/absolute", status=308, headers={"Location": f"{good}/relative"})
    assert await fetched(web, f"{good}/absolute") == b"data"
    for number, target in enumerate(
        [
            *(f"http://inner.example:{port}/data", f"http://127.0.0.1:{port}/data"),
            *(f"//[::1]:{port}/data", "file:///etc/passwd", "http://good.example:22/"),
            *(f"http://good.example@127.0.0.1:{port}/data", f"http://2130706433:{port}/data"),
            *("http://good.example:99999/", "ftp://good.example/data", "http://[/"),
        ]
    ):
        site.put(f"/evil{number}", status=301, headers={"Location": target})
        asked = len(site.asked)
        with pytest.raises(RefusedError, match="Redirect to disallowed URL"):
            await fetched(web, f"{good}/evil{number}")
        assert len(site.asked) == asked + 1


async def test_a_redirect_to_a_name_that_leads_inside(
    site: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the verdict on the first name is forced: here every name leads to loopback."""
    names = Names(outer=[["127.0.0.1"]], inner=[["127.0.0.1"]])
    web = Web(rules(site), names)
    monkeypatch.setattr(web._filter, "admits", lambda host, _: host == "outer.example")
    site.put("/inner", b"secret")
    target = f"http://inner.example:{site.port}/inner"
    site.put("/outer", status=307, headers={"Location": target})
    with pytest.raises(RefusedError, match=r"inner.example.*cannot be reached, or is not allowed"):
        await fetched(web, f"http://outer.example:{site.port}/outer")
    assert [path for path, _ in site.asked].count("/inner") == 0


async def test_redirects_without_end(site: Website) -> None:
    url = site.put("/round", status=302, headers={"Location": "/round"})
    with pytest.raises(RefusedError, match="302 Found"):
        await fetched(Web(rules(site, allowed_hosts=("127.0.0.1",))), url)


async def test_what_a_source_may_do_wrong(site: Website) -> None:
    web = Web(rules(site, allowed_hosts=("127.0.0.1",)))
    with pytest.raises(RefusedError, match="404 Not Found"):
        await fetched(web, f"{site.url}/nothing")
    cut = site.put("/cut", b"12345", headers={"Content-Length": "6"})
    with pytest.raises(InterruptedTransfer, match="connection broke"):
        await fetched(web, cut)
    packed = site.put("/packed", b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert await fetched(web, packed) == b"\x1f\x8b"
    endless = site.put("/endless", b"until the end", headers={"Content-Length": ""})
    assert await fetched(web, endless) == b"until the end"
    _, headers = site.asked[-1]
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == f"127.0.0.1:{site.port}"


async def test_nothing_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = Web(rules(allowed_hosts=("127.0.0.1",), allowed_ports=(port,)))
    with pytest.raises(RefusedError, match="cannot be reached, or is not allowed"):
        await fetched(web, f"http://127.0.0.1:{port}/")

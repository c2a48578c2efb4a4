"""Every form of an address, and that each one reads back."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.errors import UsageError
from meltemi.model.address import LibraryAddress, parse_address

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z]{1,3})?|\[::1\]", fullmatch=True)
PORTS = st.integers(1, 65535)
STEPS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=6
)
ADDRESSES = st.one_of(
    st.builds(LibraryAddress, cloud=NAMES, region=st.none() | NAMES),
    st.builds(
        lambda scheme, host, port, path: LibraryAddress(url=f"{scheme}://{host}:{port}{path}"),
        st.sampled_from(["http", "https"]),
        HOSTS,
        PORTS,
        st.sampled_from(["", "/image", "/a/b"]),
    ),
    st.builds(
        lambda start, steps: LibraryAddress(path=Path(start, *steps)),
        st.sampled_from(["/", ".", ".."]),
        st.lists(STEPS, max_size=3),
    ),
)


@given(ADDRESSES)
def test_an_address_reads_back(address: LibraryAddress) -> None:
    assert parse_address(str(address)) == address


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except UsageError:
        return
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "cloud", "region"),
    [
        ("prod", "prod", None),
        ("my-cloud.v2", "my-cloud.v2", None),
        ("prod:RegionTwo", "prod", "RegionTwo"),
        ("prod:2b", "prod", "2b"),
        ("archive", "archive", None),
    ],
)
def test_clouds(text: str, cloud: str, region: str | None) -> None:
    assert parse_address(text) == LibraryAddress(cloud=cloud, region=region)
    assert parse_address(text).kind == "cloud"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:9292", "http://127.0.0.1:9292"),
        ("prod:9292", "http://prod:9292"),
        ("glance.example.org:80/image/", "http://glance.example.org:80/image"),
        ("[::1]:9292", "http://[::1]:9292"),
        ("HTTPS://Glance.Example.Org/", "https://glance.example.org"),
        ("https://host/image/v", "https://host/image/v"),
    ],
)
def test_urls(text: str, url: str) -> None:
    assert parse_address(text) == LibraryAddress(url=url)
    assert parse_address(text).kind == "url"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/srv/archive", "/srv/archive"),
        (".", "."),
        ("..", ".."),
        ("./rel/", "rel"),
        ("../rel", "../rel"),
        ("sub/folder", "sub/folder"),
        ("/with a space:and/colon", "/with a space:and/colon"),
        ("./~home", "~home"),
    ],
)
def test_paths(text: str, path: str) -> None:
    assert parse_address(text) == LibraryAddress(path=Path(path))
    assert parse_address(text).kind == "path"


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/nefeli")
    assert parse_address("~/archive") == LibraryAddress(path=Path("/home/nefeli/archive"))


@pytest.mark.parametrize("text", ["s3://bucket", "s3://my-bucket.eu/deep/vault"])
def test_buckets(text: str) -> None:
    for form in (text, f"{text}/"):
        assert parse_address(form) == LibraryAddress(bucket=text)
        assert parse_address(form).kind == "bucket"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not the address of a library; use mycloud, mycloud:Region, http"),
        ("my archive", "or the path of an archive with a slash such as ./archive"),
        ("prod:", "is not the address"),
        (":9292", "is not the address"),
        ("prod:Region/x", "is not the address"),
        ("-rf/x", "is not the address"),
        ("host:99999", "is not a URL: Port out of range"),
        ("host:0", "its host or its port is missing"),
        ("http://", "its host or its port is missing"),
        ("http://host:", "its host or its port is missing"),
        ("http://[::1", "is not a URL"),
        ("http://a..b:80", "its host is no name"),
        (f"{'a' * 64}.example:80", "its host is no name"),
        ("ftp://host", "it must begin with http:// or https://"),
        ("http://ho st", "a character that a URL cannot hold"),
        ("http://host/?a=b", "it must end with its path"),
        ("./a\nb", "a control character"),
        ("s3://", "use s3://bucket/prefix"),
        ("s3://bucket/../other", "use s3://bucket/prefix"),
        ("s3://key:secret@bucket", "use s3://bucket/prefix"),
        ("s3://bucket?a=b", "use s3://bucket/prefix"),
        ("S3://bucket", "it must begin with http:// or https://"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_address(text)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="a user or a password does not belong") as caught:
        parse_address("http://admin:hunter2@host:9292")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"cloud": "prod", "path": Path("x")},
        {"url": "http://host", "region": "RegionOne"},
        {"path": Path("x"), "insecure": True},
        {"path": Path("x"), "cacert": Path("ca.pem")},
    ],
)
def test_fields_that_do_not_fit_together(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"only|exactly one|a cloud or a url"):
        LibraryAddress(**fields)

"""Where a library is: a cloud of clouds.yaml, a URL without authentication, or an archive.

On the command line:

    mycloud, mycloud:RegionTwo               an entry of clouds.yaml
    http://host:9292, https://host/image     an Image service that asks for no authentication
    host:9292, [::1]:9292, host:9292/image   the same over plain HTTP
    /srv/archive, ./archive, ../a, ~/a, .    an archive
    s3://bucket/prefix                       an archive in a bucket

A bare word is always a cloud, never a folder. What follows its colon is a port where it is a
number, otherwise a region.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from meltemi.errors import UsageError

_FORMS: Final = (
    "use mycloud, mycloud:Region, http(s)://host:port, host:port, s3://bucket/prefix, "
    "or the path of an archive with a slash such as ./archive"
)
_CLOUD: Final = re.compile(r"(?P<cloud>\w[\w.-]*)(?::(?P<region>\w[\w.-]*))?")
_HOST: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]+(?:/.*)?", re.ASCII)
_PATH: Final = re.compile(r"/|\.\.?(?:/|$)")
_HOME: Final = re.compile(r"~(?:/|$)")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9._-]*(?:/[A-Za-z0-9._-]+)*", re.ASCII)
_CREDENTIALS: Final = re.compile(r"//.*@", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LibraryAddress:
    """One library: exactly one of `cloud`, `url`, `path` and `bucket` is given.

    `region` goes with `cloud`; `cacert` (a file of trusted certificates) and `insecure` (trust
    any certificate) go with `cloud` and `url`. `str()` gives the form of the command line, which
    leaves those two out.
    """

    cloud: str | None = None
    region: str | None = None
    url: str | None = None
    path: Path | None = None
    cacert: Path | None = None
    insecure: bool = False
    bucket: str | None = None

    def __post_init__(self) -> None:
        given = [self.cloud, self.url, self.path, self.bucket]
        if given.count(None) != len(given) - 1:
            raise ValueError("give exactly one of cloud, url, path and bucket")
        if self.region is not None and self.cloud is None:
            raise ValueError("a region goes with a cloud only")
        if (self.cacert is not None or self.insecure) and (self.path or self.bucket):
            raise ValueError("cacert and insecure go with a cloud or a url")

    @property
    def kind(self) -> Literal["cloud", "url", "path", "bucket"]:
        """Say which of the four it is."""
        if self.cloud is not None:
            return "cloud"
        if self.bucket is not None:
            return "bucket"
        return "path" if self.url is None else "url"

    def __str__(self) -> str:
        if self.path is not None:
            text = str(self.path)
            return text if _PATH.match(text) else f"./{text}"
        return self.url or self.bucket or ":".join(filter(None, (self.cloud, self.region)))


def parse_address(text: str) -> LibraryAddress:
    """Read an address of the command line; raise UsageError where it is none.

    A path's `~` is expanded, and a relative path stays relative to the working folder.
    """
    if text.startswith("s3://"):
        return LibraryAddress(bucket=parse_bucket(text))
    if _SCHEME.match(text):
        return LibraryAddress(url=parse_url(text))
    if _PATH.match(text) or _HOME.match(text):
        return LibraryAddress(path=parse_path(text))
    if _HOST.fullmatch(text):
        return LibraryAddress(url=parse_url(f"http://{text}"))
    if found := _CLOUD.fullmatch(text):
        return LibraryAddress(cloud=found["cloud"], region=found["region"])
    if "/" in text and ":" not in text and text[0] not in "-~":
        return LibraryAddress(path=parse_path(text))
    raise UsageError(f"{text!r} is not the address of a library; {_FORMS}")


def parse_url(text: str) -> str:
    """Check the URL of an Image service and bring it to one form; raise UsageError if unfit."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{_CREDENTIALS.sub('//', text)!r} is not a URL: {error}") from None
    if problem := _find_problem(text, parts, port):
        shown = _CREDENTIALS.sub("//", text)
        raise UsageError(f"{shown!r} is not the URL of an image service: {problem}")
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def parse_bucket(text: str) -> str:
    """Check the URL of a bucket and bring it to one form; raise UsageError where it is none."""
    if not _BUCKET.fullmatch(text.rstrip("/")) or {".", ".."} & {*text.split("/")}:
        raise UsageError(f"{text!r} is not the address of a bucket; use s3://bucket/prefix")
    return text.rstrip("/")


def parse_path(text: str) -> Path:
    """Read a path, its leading ~ expanded; raise UsageError where it is none."""
    if not text:
        raise UsageError("an empty path; write . for the folder you are in")
    if not text.isprintable():
        raise UsageError(f"{text!r} is not a path: it holds a control character")
    if not text.startswith("~"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text!r} is not a path: there is no home folder") from None


def _find_problem(text: str, parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme not in ("http", "https"):
        return "it must begin with http:// or https://"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "it holds a character that a URL cannot hold"
    if "@" in parts.netloc:
        return "a user or a password does not belong there; use an entry of clouds.yaml"
    if "?" in text or "#" in text:
        return "it must end with its path"
    if not parts.hostname or port == 0 or parts.netloc.endswith(":"):
        return "its host or its port is missing"
    return None if _is_host(parts.hostname) else "its host is no name that a host can have"


def _is_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True

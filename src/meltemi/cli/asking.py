"""What commands that speak to a daemon have in common: finding it, and its token."""

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from meltemi.cli.options import FilePath, option, together
from meltemi.cli.work import run
from meltemi.daemon.client import Client, TokenOfOurs
from meltemi.errors import ConfigurationError, UsageError
from meltemi.libraries.glance.auth import Auth, tls_of, token_of_cloud
from meltemi.model.address import LibraryAddress, parse_url
from meltemi.model.token import is_token
from meltemi.model.units import format_duration

_TOKEN: Final = "MELTEMI_DAEMON_TOKEN"  # noqa: S105 - where it is, not what it is
_FILE: Final = "meltemi.yaml"

daemon_options = together(
    option("--daemon", metavar="URL", help="Where the daemon answers; else FILE says so."),
    option("--file", type=FilePath(), help=f"The daemon's configuration.  [default: {_FILE}]"),
    option(
        "--token-file",
        "daemon_token_file",
        type=FilePath(),
        help=f"A file with a token; {_TOKEN} may hold one instead. Else the file that a daemon "
        "without tokens and Keystone has made beside FILE will do, or OS_CLOUD logs in.",
    ),
    option("--cacert", type=FilePath(), help="Trust these certificates instead."),
    option("--insecure", is_flag=True, help="Do not verify certificates."),
    option("-d", "--debug", is_flag=True, help="Log everything, and show tracebacks."),
    option("-v", "--verbose", is_flag=True, help="Log what is done."),
)

region_option = option("--region", metavar="LIBRARY", help="In this target only.")
route_option = option("--route", metavar="ROUTE", help="Of this route only.")


def placement_row(one: Mapping[str, Any]) -> dict[str, Any]:
    """Give what rows about an image in a library begin with."""
    return {
        "ID": one["image"],
        "Name": one["name"],
        "From": one["source"],
        "Library": one["library"],
        "Route": one["route"],
        "Owner": one["owner"],
        "Wanted": one["wanted"],
        "Observed": one["observed"],
        "Status": one["status"] if one["wanted"] else f"{one['status']}, not wanted",
        "Detail": one["detail"],
    }


def asking(work: Callable[[Client], Awaitable[int]], options: Mapping[str, Any]) -> int:
    """Speak to the daemon that a command line names; give the exit code."""

    async def ask() -> int:
        async with await _open(options) as client:
            return await work(client)

    return run(ask(), options)


async def _open(options: Mapping[str, Any]) -> Client:
    url, own = options["daemon"], None
    file = options["file"] or Path(_FILE)
    if options["file"] or not url:
        named, own = _told_by(file, url)
        url = url or named
    url = _parsed(url)
    tls = tls_of(url, cacert=options["cacert"], insecure=options["insecure"])
    return Client(url, await _auth(options["daemon_token_file"], own), tls)


def _parsed(url: str) -> str:
    try:
        return parse_url(url if "://" in url else f"http://{url}")
    except UsageError as error:
        raise UsageError(str(error).replace("an image service", "a daemon")) from None


def _told_by(file: Path, url: str | None) -> tuple[str, Path | None]:
    """Give what the configuration says: where the daemon answers, and where its token may be."""
    from meltemi.config.load import load, load_api  # noqa: PLC0415 - slow to import

    if not file.exists() and not url:
        raise UsageError(
            f"which daemon? there is no {file}; name it by --file, or an address by --daemon "
            "(MELTEMI_DAEMON)"
        )
    try:
        settings = load(file).daemon.api
    except ConfigurationError as error:
        settings = load_api(file)
        say(f"meltemi: {error}; a daemon that is at work keeps to the configuration before it")
    scheme = "https" if settings.tls else "http"
    own = settings.token_file
    counts = settings.is_for_all_who_read and own.exists()
    return f"{scheme}://{settings.listen.reachable}", own if counts else None


async def _auth(file: Path | None, own: Path | None) -> Auth:
    if token := os.environ.get(_TOKEN):
        return TokenOfOurs(_checked(token, _TOKEN))
    if file is not None:
        return TokenOfOurs(_read(file))
    if own is not None:  # then no other token counts there
        return TokenOfOurs(_read(own))
    if cloud := os.environ.get("OS_CLOUD"):
        return await token_of_cloud(LibraryAddress(cloud=cloud), cloud)
    return TokenOfOurs(None)


def _read(file: Path) -> str:
    try:
        return _checked(file.read_text(errors="replace"), str(file))
    except OSError as error:
        raise UsageError(f"{file}: no token can be read: {error.strerror}") from error


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if not token or not is_token(token):
        raise UsageError(f"{where}: no token is in it: that is ASCII, without blanks")
    return token


def behind(document: Mapping[str, Any]) -> str:
    """Tell a person how far behind something is, and whether that is too late."""
    if document["behind"] is None:
        return ""
    text = format_duration(timedelta(seconds=document["behind"]))
    return f"{text}, late" if document["late"] else text


def say(text: str) -> None:
    """Say something beside the result."""
    click.echo(text, err=True)

"""Load meltemi.yaml: from a file to libraries and routes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from meltemi.config.choosing import check_accounts, check_choosing, choosing_of
from meltemi.config.schema import (
    DaemonAlone,
    DaemonEntry,
    FileEntry,
    LibraryEntry,
    RouteEntry,
    RouteSettings,
    TokenEntry,
    WebhookEntry,
)
from meltemi.documents.document import Problem, fail
from meltemi.documents.reading import read_entry
from meltemi.model.address import LibraryAddress
from meltemi.model.listening import ListeningAddress
from meltemi.model.route import Limits, Link, OnSourceDeletion, Policy, Route, Selection
from meltemi.region.settings import KeystoneAccount, MetricsSettings, TlsSettings, within

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Api:
    """Where the daemon answers, and whom: `tokens` are roles and hashes, by name.

    Where neither they nor Keystone say who asks, whoever can read `token_file` may do everything.
    """

    listen: ListeningAddress
    token_file: Path
    tls: TlsSettings | None = None
    tokens: Mapping[str, TokenEntry] = field(default_factory=dict)
    keystone: KeystoneAccount | None = None

    @property
    def is_for_all_who_read(self) -> bool:
        """Say whether the token in the file counts."""
        return not self.tokens and self.keystone is None


@dataclass(frozen=True, slots=True)
class Daemon:
    """How `meltemi daemon` works: where it keeps its state, as a URL, and for how long.

    Every route is looked at at least as often as `reconcile` says. `keys` is the file of the keys
    that credentials of owners are encrypted with. Prometheus reads at `metrics`.
    """

    api: Api

    database: str
    reconcile: timedelta = timedelta(hours=1)
    history: timedelta = timedelta(days=90)
    keys: Path | None = None
    webhook: WebhookEntry | None = None
    metrics: MetricsSettings | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What meltemi.yaml says: libraries by their name, the routes between them, and the daemon.

    `transfers` is how many images may be under way at once from and to a library, where that is
    said; `buses` are the addresses, by library, of the message buses on which they tell what they
    do.
    """

    libraries: Mapping[str, LibraryAddress]
    routes: tuple[Route, ...]
    links: tuple[Link, ...]
    transfers: Mapping[str, int]
    daemon: Daemon
    buses: Mapping[str, str] = field(default_factory=dict, repr=False)


def load(file: Path) -> Configuration:
    """Read and check a configuration; raise ConfigurationError for the first thing wrong in it.

    The message is one line: the file, the line, the key, what is wrong with it, and how many
    more problems there are.
    """
    entry, document = read_entry(file, VERSION, FileEntry)
    folder = file.absolute().parent
    libraries = {name: library.address(folder) for name, library in entry.libraries.items()}
    problems = [
        Problem(document.line(("routes", name, key)), f"routes.{name}.{key}: {text}")
        for name, route in entry.routes.items()
        for key, text in (*_check_ends(route, libraries), *check_accounts(route, entry.libraries))
    ]
    problems += [
        Problem(document.line(("routes", name, "choose")), f"routes.{name}.choose: {text}")
        for name, route in entry.routes.items()
        for text in check_choosing(route, entry.defaults, entry.libraries)
    ]
    problems += [
        Problem(document.line(("links", name, "libraries")), f"links.{name}.libraries: {text}")
        for name, link in entry.links.items()
        for text in _unknown(link.libraries, libraries)
    ]
    owned = [name for name, library in entry.libraries.items() if library.account]
    if owned and entry.daemon.keys is None:
        text = f"daemon.keys: missing; {owned[0]} takes credentials of owners, to be kept encrypted"
        problems.append(Problem(document.line(("libraries", owned[0])), text))
    if problems:
        raise fail(file, problems)
    routes = (
        _route(name, route, entry.defaults, entry.libraries) for name, route in entry.routes.items()
    )
    links = (
        Link(name, frozenset(link.libraries), link.bwlimit) for name, link in entry.links.items()
    )
    transfers = {n: one.transfers for n, one in entry.libraries.items() if one.transfers}
    daemon = _daemon(within(folder, entry.daemon), folder)
    buses = {
        name: library.notifications.transport_url
        for name, library in entry.libraries.items()
        if library.notifications is not None
    }
    return Configuration(libraries, tuple(routes), tuple(links), transfers, daemon, buses)


def load_api(file: Path) -> Api:
    """Read where a daemon answers, whatever is wrong with libraries and routes.

    Raise ConfigurationError where that cannot be told.
    """
    entry, _ = read_entry(file, VERSION, DaemonAlone)
    folder = file.absolute().parent
    return _daemon(within(folder, entry.daemon), folder).api


def _daemon(entry: DaemonEntry, folder: Path) -> Daemon:
    token_file = folder / "meltemi-daemon.token"
    return Daemon(
        Api(entry.listen, token_file, entry.tls, entry.tokens, entry.keystone),
        entry.database or f"sqlite:///{folder / 'meltemi-daemon.sqlite'}",
        entry.reconcile,
        entry.history,
        entry.keys,
        entry.webhook,
        entry.metrics,
    )


def _unknown(names: Iterable[str], libraries: Mapping[str, LibraryAddress]) -> Iterator[str]:
    """Tell of names that no library has."""
    for name in names:
        if name not in libraries:
            near = get_close_matches(name, libraries, n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            yield f"there is no library {name!r}{advice}"


def _check_ends(
    route: RouteEntry, libraries: Mapping[str, LibraryAddress]
) -> Iterator[tuple[str, str]]:
    seen: dict[LibraryAddress, str] = {}
    for key, name in [("from", route.source), *(("to", target) for target in route.to)]:
        address = libraries.get(name)
        if address is None:
            yield from ((key, text) for text in _unknown([name], libraries))
        elif address not in seen:
            seen[address] = name
        elif seen[address] != name:
            yield key, f"{seen[address]} and {name} are the same library"
        elif name == route.source:
            yield key, f"{name} is the source as well"
        else:
            yield key, f"{name} is listed twice"
    if route.relay not in (None, *route.to):
        yield "relay", f"{route.relay} is none of the targets"


def _route(
    name: str,
    route: RouteEntry,
    defaults: RouteSettings,
    libraries: Mapping[str, LibraryEntry],
) -> Route:
    settings: dict[str, Any] = {
        key: getattr(entry, key) for entry in (defaults, route) for key in entry.model_fields_set
    }
    if "bwlimit" in settings:
        settings["bandwidth"] = settings["bwlimit"]
    if route.choose is not None:
        settings.setdefault("on_source_deletion", OnSourceDeletion.DELETE)
    return Route(
        name=name,
        source=route.source,
        targets=route.to,
        selection=Selection(
            match=tuple(rule.rules() for rule in settings.get("match", ())),
            exclude=tuple(rule.rules() for rule in settings.get("exclude", ())),
            where=settings.get("where"),
        ),
        policy=Policy(**_only(Policy, settings)),
        limits=Limits(**_only(Limits, settings)),
        relay=route.relay,
        priority=settings.get("priority", 0),
        schedule=settings.get("schedule"),
        within=settings.get("within"),
        choosing=choosing_of(route, libraries),
    )


def _only(kind: type[Policy | Limits], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a kind has no field for; what nobody set keeps the default of the kind."""
    return {one.name: settings[one.name] for one in fields(kind) if one.name in settings}

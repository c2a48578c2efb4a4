"""One route from opening its libraries to its end: what `compare`, `plan` and `sync` share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from meltemi.errors import ArchiveError, CorruptionError, MeltemiError, UsageError
from meltemi.libraries.base import Library, Verifiable
from meltemi.model.plan import Plan
from meltemi.model.route import Limits, Route
from meltemi.replication.choices import Reserved, nothing_reserved
from meltemi.replication.engine import Engine
from meltemi.replication.exchange.bases import Seen
from meltemi.replication.exchange.pricing import priced
from meltemi.replication.exchange.pulling import pulled
from meltemi.replication.limits import Links
from meltemi.replication.relaying import Relaying
from meltemi.replication.report import Outcome, Reporter
from meltemi.replication.survey import Teller, survey, untold

Opener = Callable[[str], Awaitable[Library]]
"""Opens a library by its name."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries of a run that answer, and the errors of those that do not, by name."""

    open: Mapping[str, Library]
    errors: Mapping[str, MeltemiError]

    def require(self, name: str) -> Library:
        """Give a library, or raise what kept it from being opened."""
        if name in self.errors:
            raise self.errors[name]
        return self.open[name]


@asynccontextmanager
async def opened(names: Sequence[str], opener: Opener) -> AsyncIterator[Libraries]:
    """Open libraries at once, and close them in the end; some may fail without the others."""
    results = await asyncio.gather(*map(opener, names), return_exceptions=True)
    libraries: dict[str, Library] = {}
    errors: dict[str, MeltemiError] = {}
    defects: list[BaseException] = []
    for name, result in zip(names, results, strict=True):
        if isinstance(result, MeltemiError):
            errors[name] = result
        elif isinstance(result, BaseException):
            defects.append(result)
        else:
            libraries[name] = result
    try:
        if defects:
            raise defects[0]
        yield Libraries(libraries, errors)
    finally:
        await asyncio.gather(*(library.close() for library in libraries.values()))


async def plan_route(
    route: Route,
    libraries: Libraries,
    *,
    sending: bool = True,
    tell: Teller = untold,
    reserved: Reserved = nothing_reserved,
    relaying: asyncio.Future[Relaying] | None = None,
) -> Plan:
    """Plan a route; targets that cannot be read stand in the plan's errors.

    `tell` hears of each image, `reserved` knows of copies under way, and `relaying` of a relay that
    is read elsewhere, see `survey`. Unless nothing is ever to be sent, the plan says how many bytes
    will cross the wire. Raise the source's error, or a target's where no target can be read.
    """
    source = libraries.require(route.source)
    targets = [libraries.open[name] for name in route.targets if name in libraries.open]
    for one, other in combinations([source, *targets], 2):
        if await is_same_place(one.identity, other.identity):
            raise UsageError(f"{one.name} and {other.name} are the same library, {one.identity}")
    errors = {name: libraries.errors[name] for name in route.targets if name in libraries.errors}
    if not targets:
        raise errors[route.targets[0]]
    seen = {target.name: Seen() for target in targets} if sending else {}
    now = datetime.now(UTC)
    plan = await survey(
        route, source, targets, now, tell, seen=seen, reserved=reserved, relaying=relaying
    )
    if sending:
        plan = await with_ways(route, plan, source, targets, seen)
    return replace(plan, errors={**errors, **plan.errors})


async def with_ways(
    route: Route,
    plan: Plan,
    source: Library,
    targets: Sequence[Library],
    seen: Mapping[str, Seen] = MappingProxyType({}),
    *,
    arriving: Collection[tuple[str, str]] = (),
) -> Plan:
    """Say of each copy of a plan how it goes: whole or by pieces, through here or not.

    What was `seen` of targets, by their names, is not asked again. What a relay gets by another
    plan is `arriving` there: its name, and the ids of the source's images.
    """
    plan = await priced(plan, source, targets, seen, arriving)
    return await pulled(plan, source, targets) if route.policy.pull else plan


async def run_plan(
    plan: Plan,
    libraries: Libraries,
    reporter: Reporter,
    *,
    limits: Limits,
    max_delete: int,
    checked: bool = False,
    failed: bool = False,
    links: Links | None = None,
) -> list[Outcome]:
    """Carry out a plan; see `Engine`.

    What can be verified where it lies is verified before anything is made: raise ArchiveError
    where it is damaged.
    """
    await _verify_sources(plan, libraries)
    engine = Engine(
        libraries.open,
        reporter,
        limits=limits,
        max_delete=max_delete,
        checked=checked,
        links=links,
    )
    return await engine.run(plan, failed=failed)


async def _verify_sources(plan: Plan, libraries: Libraries) -> None:
    copies = [a for a in plan.actions if a.sends and a.relay is None]
    for name, image_id in dict.fromkeys((a.subject.source, a.subject.source_id) for a in copies):
        source = libraries.open[name]
        if isinstance(source, Verifiable):
            try:
                await source.verify(image_id)
            except CorruptionError as error:
                raise ArchiveError(f"{error}; nothing was loaded") from error


async def is_same_place(one: str, other: str) -> bool:
    """Say whether two identities are one library: equal, or a name beside its own address.

    Two names of one address may be two services behind one proxy.
    """
    if one == other:
        return True
    first, second = urlsplit(one), urlsplit(other)
    if (_port(first), first.path) != (_port(second), second.path):
        return False
    hosts = [first.hostname or "", second.hostname or ""]
    if not any(map(_is_address, hosts)):
        return hosts[0] == hosts[1] != ""
    return bool(set.intersection(*await asyncio.gather(*map(_addresses, hosts))))


def _port(parts: SplitResult) -> int | None:
    """Give the port of an address; None where it goes without saying."""
    return None if parts.port in (80, 443) else parts.port


def _is_address(host: str) -> bool:
    return host == "localhost" or ":" in host or host.replace(".", "").isdigit()


async def _addresses(host: str) -> set[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return set()
    return {str(address[0]) for *_, address in found}

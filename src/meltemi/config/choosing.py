"""What a route's `choose` may say, and what it becomes."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from meltemi.config.schema import ChooseEntry, LibraryEntry, RouteEntry, RouteSettings
from meltemi.model.route import Allowance, Choosing, OnSourceDeletion, Residency

_NO_RELAY: Final = "owners choose targets one by one; it cannot get along with relay"


def check_choosing(
    route: RouteEntry, defaults: RouteSettings, libraries: Mapping[str, LibraryEntry]
) -> Iterator[str]:
    """Say what is wrong with a route's `choose`."""
    if route.choose is None:
        return
    if route.relay is not None:
        yield _NO_RELAY
    settings = route if "on_source_deletion" in route.model_fields_set else defaults
    said = "on_source_deletion" in settings.model_fields_set
    if said and settings.on_source_deletion is OnSourceDeletion.KEEP:
        yield "on_source_deletion: keep would leave what owners withdraw; say delete or hide"
    yield from _unknown(route.choose, route.to, {one.zone for one in libraries.values()})
    taken = {target.lower() for target in route.to}
    for name in route.choose.names:
        if name.lower() in taken:
            yield f"names.{name}: it means another target already; case makes no difference"
        taken.add(name.lower())


def check_accounts(
    route: RouteEntry, libraries: Mapping[str, LibraryEntry]
) -> Iterator[tuple[str, str]]:
    """Say where a route uses what only the owners of images have an account on."""
    owned = {name for name, library in libraries.items() if library.account == "owner"}
    if route.source in owned:
        yield "from", f"{route.source} has account: owner, and can be but a target"
    if route.choose is None:
        for name in owned & {*route.to}:
            yield "to", f"{name} has account: owner, and wants choose"


def choosing_of(route: RouteEntry, libraries: Mapping[str, LibraryEntry]) -> Choosing | None:
    """Give what owners may choose on a route; None where they have no choice."""
    if (choose := route.choose) is None:
        return None
    every = frozenset(route.to)
    return Choosing(
        names={
            **{target.lower(): target for target in route.to},
            **{name.lower(): target for name, target in choose.names.items()},
        },
        projects={
            project: Allowance(
                every if entry.regions is None else frozenset(entry.regions), entry.quotas
            )
            for project, entry in choose.projects.items()
        },
        residency=tuple(
            Residency(
                match=tuple(one.rules() for one in rule.match),
                targets=frozenset(t for t in route.to if libraries[t].zone in rule.zones),
                reason=f"not allowed outside {' and '.join(rule.zones)}",
            )
            for rule in choose.residency
        ),
        owned=frozenset(t for t in route.to if libraries[t].account == "owner"),
    )


def _unknown(
    choose: ChooseEntry, targets: Collection[str], zones: Collection[str | None]
) -> Iterator[str]:
    """Tell of targets and zones that there are not."""
    named = [
        (f"projects.{project}", name)
        for project, entry in choose.projects.items()
        for name in (*(entry.regions or ()), *entry.quotas)
    ]
    named += [(f"names.{name}", target) for name, target in choose.names.items()]
    yield from (
        f"{place}: {name} is none of the targets" for place, name in named if name not in targets
    )
    for zone in (zone for rule in choose.residency for zone in rule.zones if zone not in zones):
        yield f"residency: no library is in the zone {zone!r}"

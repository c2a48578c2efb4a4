"""Words that tests of the daemon share."""

from collections.abc import Mapping
from typing import Any, Protocol


class Address(Protocol):
    """Something with a URL: a service, or a proxy in front of one."""

    url: str


def configuration(
    source: Address, *targets: Address, daemon: Mapping[str, Any] | None = None, **route: Any
) -> dict[str, Any]:
    """Give a configuration whose route `all` leads from `s` to `t0`, `t1`, and so on."""
    names = [f"t{number}" for number, _ in enumerate(targets)]
    urls = {name: {"url": target.url} for name, target in zip(names, targets, strict=True)}
    return {
        "version": 1,
        "daemon": dict(daemon or {}),
        "libraries": {"s": {"url": source.url}, **urls},
        "routes": {"all": {"from": "s", "to": names, **route}},
    }

"""What every request about metadata definitions begins with."""

from typing import Any

from meltemi.errors import ForbiddenError, RefusedError, VanishedError
from meltemi.model.definitions import Namespace
from meltemi.region.api.schemas import Checker
from meltemi.region.service import Call
from meltemi.region.targets import of_namespace, of_project


async def permitted(call: Call, rule: str, missing: str = "Namespace {} not found") -> Namespace:
    """Give the namespace that the path names, if the rule allows something about it.

    One that may not be seen is said not to exist, in the words of `missing`.
    """
    name = call.path["namespace"]
    try:
        namespace = await call.service.definitions.get(name, call.context.viewer)
        demand(call, rule, namespace)
    except VanishedError:
        raise VanishedError(missing.format(name)) from None
    return namespace


def demand(call: Call, rule: str, namespace: Namespace | None = None) -> None:
    """Raise ForbiddenError where a rule forbids something about a namespace, or about none."""
    target = (
        of_project(call.context)
        if namespace is None
        else of_namespace(namespace.name, namespace.owner, namespace.visibility)
    )
    call.service.policy.demand_of_namespace(call.context, rule, target)


def allows(call: Call, rule: str, namespace: Namespace) -> bool:
    """Say whether a rule allows something about a namespace."""
    target = of_namespace(namespace.name, namespace.owner, namespace.visibility)
    return call.service.policy.allows(call.context, rule, target)


async def sent(call: Call, checker: Checker, *read_only: str) -> dict[str, Any]:
    """Read a body that has a schema; ForbiddenError where it sets what only the service sets."""
    body = await call.json()
    if not isinstance(body, dict):
        raise RefusedError("Unexpected body type. Expected a JSON object.")
    for name in read_only:
        if name in body:
            raise ForbiddenError(f"Attribute '{name}' is read-only.")
    checker.check(body)
    return body

"""Property protections: which properties of images who may create, read, update and delete.

The file is Glance's: sections named by regular expressions, of which the first that fits a property
counts, and each says for every operation which roles may do it, or which policy allows it.
"""

import re
from collections.abc import Callable, Mapping
from configparser import (
    ConfigParser,
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

from meltemi.documents.document import Problem, fail, read_text
from meltemi.region.context import Context
from meltemi.region.policy import Policy

Operation = Literal["create", "read", "update", "delete"]

OPERATIONS: Final[tuple[Operation, ...]] = ("create", "read", "update", "delete")

_Mistake = DuplicateOptionError | DuplicateSectionError | ParsingError

_INTERNAL: Final = "os_glance"
"""What properties begin with that are the service's own; no file has a say in them."""

Properties = Mapping[str, str]

AllowedBy = Callable[[Context, str], bool]
"""Says whether one of the names that a file gives for an operation allows it to the sender."""


@dataclass(frozen=True, slots=True)
class Section:
    """Of properties that the expression fits, what allows which operation: `@` anybody, `!` nobody.

    Nothing at all allows it to nobody, either.
    """

    expression: re.Pattern[str]
    allowed: Mapping[Operation, frozenset[str]]


class Protections:
    """What a file says. Properties that no section fits, nobody may touch."""

    def __init__(self, sections: tuple[Section, ...], allowed_by: AllowedBy) -> None:
        self._sections = sections
        self._allowed_by = allowed_by

    def allows(self, context: Context, operation: Operation, name: str) -> bool:
        """Say whether the sender of a request may do this with the property of that name."""
        if name.startswith(_INTERNAL):
            return True
        fitting = (one for one in self._sections if one.expression.search(name))
        section = next(fitting, None)
        names = section.allowed[operation] if section else frozenset[str]()
        if "!" in names:
            return False
        return "@" in names or any(self._allowed_by(context, name) for name in names)

    def readable(self, context: Context, properties: Properties) -> dict[str, str]:
        """Give those of an image's properties that the sender may read."""
        return {
            name: value for name, value in properties.items() if self.allows(context, "read", name)
        }

    def refused(self, context: Context, before: Properties, after: Properties) -> str | None:
        """Name a property that the sender may not change so; None where all is allowed.

        `before` is what the sender can read: what is hidden, the sender creates anew.
        """
        for name in sorted({*before, *after}):
            if before.get(name) == after.get(name):
                continue
            operation: Operation = (
                "create" if name not in before else "update" if name in after else "delete"
            )
            if not self.allows(context, operation, name):
                return name
        return None


def by_roles(context: Context, name: str) -> bool:
    """Say whether the sender, or the service that passes the request on, has that role."""
    return name.lower() in context.roles | context.service_roles


def _by_policy(policy: Policy, context: Context, name: str) -> bool:
    # What the service that passes the request on may do with properties, the sender may. And the
    # operator may have taken the policy out of its file since it was named here.
    context = replace(context, roles=context.roles | context.service_roles)
    return policy.knows(name) and policy.holds(context, name, {})


def load_protections(file: Path, *, policy: Policy | None = None) -> Protections:
    """Read a file of roles; or, given the policies that there are, a file of policies.

    Raise ConfigurationError, with the line, for the first thing wrong in it.
    """
    text = read_text(file)
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except (DuplicateOptionError, DuplicateSectionError, ParsingError) as error:
        raise fail(file, [_problem(error)]) from None
    sections = []
    for name in parser.sections():
        try:
            sections.append(_section(name, parser[name], policy))
        except ValueError as error:
            raise fail(file, [Problem(_line(text, name), f"[{name}]: {error}")]) from None
    if policy is None:
        return Protections(tuple(sections), by_roles)
    return Protections(tuple(sections), partial(_by_policy, policy))


def _problem(error: _Mistake) -> Problem:
    if isinstance(error, DuplicateOptionError):
        return Problem(error.lineno, f"[{error.section}]: {error.option} is there twice")
    if isinstance(error, DuplicateSectionError):
        return Problem(error.lineno, f"[{error.section}] is there twice")
    if isinstance(error, MissingSectionHeaderError):
        return Problem(error.lineno, "has to begin with a section such as [^x_owner_.*]")
    return Problem(error.errors[0][0], "not understood; write: operation = names")


def _line(text: str, section: str) -> int:
    lines = enumerate(text.splitlines(), 1)
    return next(number for number, line in lines if line.startswith(f"[{section}]"))


def _section(name: str, options: Mapping[str, str], policy: Policy | None) -> Section:
    try:
        expression = re.compile(name)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    allowed: dict[Operation, frozenset[str]] = {}
    for operation in OPERATIONS:
        if operation not in options:
            raise ValueError(f"{operation} is missing; '!' is nobody")
        names = {one.strip() for one in options[operation].split(",")} - {""}
        if {"@", "!"} <= names:
            raise ValueError(f"{operation}: '@' is anybody and '!' nobody; it cannot be both")
        if policy is not None:
            _check_policies(operation, names, policy)
        allowed[operation] = frozenset(names)
    return Section(expression, allowed)


def _check_policies(operation: str, names: set[str], policy: Policy) -> None:
    if len(names) > 1:
        raise ValueError(f"{operation}: one policy only; combine several in the policy file")
    for name in names - {"@", "!"}:
        if not policy.knows(name):
            raise ValueError(f"{operation}: there is no policy {name!r}")

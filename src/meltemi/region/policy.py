"""Who may do what: Glance's policies, and what the operator says otherwise."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from meltemi.documents.document import Document, Problem, dotted, fail, read_document
from meltemi.errors import ConfigurationError, ForbiddenError, VanishedError
from meltemi.region.checks import Facts, RuleError, Test, compile_rules
from meltemi.region.context import Context
from meltemi.region.rules import POLICIES, ROLES
from meltemi.region.targets import of_new_image

_log: Final = logging.getLogger(__name__)

_VISIBILITIES: Final[Mapping[object, str]] = {
    "public": "publicize_image",
    "community": "communitize_image",
}

_Fingerprint = tuple[int, int, int]


class Policy:
    """Decides by rules in the language of oslo.policy, as they are in a Glance's policy.yaml.

    Rules of `file` take the place of those of the same name in `base`, and these of Glance's own.
    Raise ConfigurationError, with the line, where the file cannot be used.
    """

    def __init__(self, file: Path | None = None, base: Mapping[str, str] | None = None) -> None:
        self._file = file
        self._defaults = {**ROLES, **POLICIES, **(base or {})}
        self._fingerprint = _fingerprint(file) if file else None
        self._tests = self._load()

    def refresh(self) -> None:
        """Read the file again if it has changed; to be called before each request.

        One that cannot be used is told in the log, once, and the old rules stay in force.
        """
        if self._file is None:
            return
        fingerprint = _fingerprint(self._file)
        if fingerprint == self._fingerprint:
            return
        self._fingerprint = fingerprint
        try:
            self._tests = self._load()
        except ConfigurationError as error:
            _log.error("%s; the policies before it stay in force", error)
        else:
            _log.info("read %s again", self._file)

    def knows(self, rule: str) -> bool:
        """Say whether there is a rule of that name."""
        return rule in self._tests

    def allows(self, context: Context, rule: str, target: Facts) -> bool:
        """Say whether a rule holds for a request that concerns the target.

        Glance's policies hold for no token of a domain or of the system, whatever its roles.
        Raise KeyError where there is no such rule.
        """
        if rule in POLICIES and (context.domain or context.system_scope):
            return False
        return self.holds(context, rule, target)

    def holds(self, context: Context, rule: str, target: Facts) -> bool:
        """Say the same as rules do of each other: without regard to what a token is for."""
        return self._tests[rule](target, context.credentials)

    def is_admin(self, context: Context) -> bool:
        """Say whether the sender of a request is an administrator."""
        return self.allows(context, "context_is_admin", context.credentials)

    def demand(self, context: Context, rule: str, target: Facts) -> None:
        """Raise ForbiddenError unless the rule holds."""
        if not self.allows(context, rule, target):
            raise ForbiddenError(f"You are not authorized to complete {rule} action.")

    def demand_new_image(self, context: Context, attributes: Mapping[str, object]) -> None:
        """Raise ForbiddenError unless the sender may make an image with these attributes."""
        target = of_new_image(context, attributes)
        if not self.allows(context, "add_image", target) and target["owner"] != context.project:
            raise ForbiddenError(
                f"You are not permitted to create images owned by '{target['owner']}'"
            )
        self.demand(context, "add_image", target)
        self.demand_visibility(context, target)

    def demand_visibility(self, context: Context, target: Facts) -> None:
        """Raise ForbiddenError unless the sender may give an image the target's visibility."""
        rule = _VISIBILITIES.get(target["visibility"])
        if rule:
            self.demand(context, rule, target)

    def demand_of_image(self, context: Context, rule: str, target: Facts) -> None:
        """Raise ForbiddenError unless the rule holds for an image that is there.

        Whoever may not even see it is told, by VanishedError, that there is none.
        """
        gone = f"No image found with ID {target['id']}"
        self._demand_of_visible(context, rule, target, "get_image", gone)

    def demand_of_namespace(self, context: Context, rule: str, target: Facts) -> None:
        """Do the same for a namespace of metadata definitions, and all that is in it.

        Of what concerns no namespace that is there, as a listing, nothing better is said.
        """
        name = target.get("namespace")
        gone = f"Metadata definition namespace={name} was not found." if name else ""
        self._demand_of_visible(context, rule, target, "get_metadef_namespace", gone)

    def _demand_of_visible(
        self, context: Context, rule: str, target: Facts, seeing: str, gone: str
    ) -> None:
        if self.allows(context, rule, target):
            return
        if rule == seeing or not self.allows(context, seeing, target):
            raise VanishedError(gone)
        self.demand(context, rule, target)

    def _load(self) -> dict[str, Test]:
        if self._file is None:
            return compile_rules(self._defaults)
        document = read_document(self._file)
        rules = _rules(self._file, document)
        try:
            return compile_rules({**self._defaults, **rules})
        except RuleError as error:
            line = document.line((error.rule,))
            raise fail(self._file, [Problem(line, f"{error.rule}: {error}")]) from None


def _rules(file: Path, document: Document) -> dict[str, str]:
    if document.data is None:  # a file of comments, as oslopolicy-sample-generator writes it
        return {}
    if not isinstance(document.data, dict):
        raise fail(file, [Problem(1, "has to be a mapping of policies to rules")])
    problems = [
        Problem(document.line((name,)), f"{dotted((name,))}: has to be text; put it in quotes")
        for name, rule in document.data.items()
        if not isinstance(rule, str)
    ]
    if problems:
        raise fail(file, problems)
    return document.data


def _fingerprint(file: Path) -> _Fingerprint | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

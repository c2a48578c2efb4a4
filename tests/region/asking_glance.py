"""Ask Glance's own code what it decides; run by the Python that has it.

Reads a question in JSON from stdin: `policy_file` and `protections` (paths, or empty), `format` (of
the latter), `contexts` (what a RequestContext takes), `targets` and `properties`. Answers with
`rules`, each as its name, check, scopes and the name that it had before; `policies`, the decision
of every rule for every context and target; and `properties`, that for every name, operation and
context.
"""

import json
import sys
from itertools import product
from typing import Any


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Give Glance's answer to a question."""
    from glance.api import policy  # type: ignore[import-not-found]  # noqa: PLC0415
    from glance.common import property_utils  # type: ignore[import-not-found]  # noqa: PLC0415
    from glance.context import RequestContext  # type: ignore[import-not-found]  # noqa: PLC0415
    from glance.policies import list_rules  # type: ignore[import-not-found]  # noqa: PLC0415
    from oslo_config import cfg  # noqa: PLC0415
    from oslo_policy import opts  # noqa: PLC0415

    cfg.CONF([], project="glance")
    if question["policy_file"]:
        opts.set_defaults(cfg.CONF, policy_file=question["policy_file"])
    enforcer = policy.Enforcer()

    def context(facts: dict[str, Any]) -> Any:
        # A new one each time: Glance adds roles to it while it decides.
        copy = json.loads(json.dumps(facts))
        return RequestContext(policy_enforcer=enforcer, overwrite=False, **copy)

    rules = list(list_rules())
    decisions: dict[str, Any] = {
        "rules": [
            (
                rule.name,
                rule.check_str,
                rule.scope_types,
                rule.deprecated_rule.name if rule.deprecated_rule else rule.name,
            )
            for rule in rules
        ],
        "admins": [context(facts).is_admin for facts in question["contexts"]],
        "policies": [
            bool(enforcer.check(context(facts), rule.name, target))
            for rule, facts, target in product(rules, question["contexts"], question["targets"])
        ],
        "properties": [],
    }
    if question["protections"]:
        cfg.CONF.set_override("property_protection_file", question["protections"])
        cfg.CONF.set_override("property_protection_rule_format", question["format"])
        protections = property_utils.PropertyRules(enforcer)
        decisions["properties"] = [
            protections.check_property_rules(name, operation, context(facts))
            for name, operation, facts in product(
                question["properties"],
                ("create", "read", "update", "delete"),
                question["contexts"],
            )
        ]
    return decisions


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)

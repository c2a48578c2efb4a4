"""Rules made into functions say what oslo.policy says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import policy

from meltemi.region.checks import RuleError, compile_rules

_KEYS = ("project_id", "owner", "member_id", "visibility", "nothing")
_VALUES = (None, "p", "q", "", "admin", "Admin", True, 7)

_LEAVES = st.one_of(
    st.sampled_from(["@", "!", "rule:other", "rule:default"]),
    st.builds(
        "{}:{}".format,
        st.sampled_from(
            ["role", "project_id", "user_id", "roles", "a.b", "'p'", "None", "True", "7", "missing"]
        ),
        st.sampled_from(
            [
                "admin",
                "ADMIN",
                "p",
                "None",
                *(f"%({key})s" for key in _KEYS),
                "x-%(owner)s-y",
                "a%%b",
            ]
        ),
    ),
)

_RULES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("{} or {} and {}".format, inner, inner, inner),
    ),
    max_leaves=8,
)

_TARGETS = st.dictionaries(st.sampled_from(_KEYS), st.sampled_from(_VALUES))

_ASKERS = st.fixed_dictionaries(
    {
        "roles": st.lists(st.sampled_from(["admin", "member", "p"])),
        "project_id": st.sampled_from(["p", "q", None]),
        "user_id": st.sampled_from(["p", "u"]),
        "a": st.sampled_from([{"b": "p"}, [{"b": "q"}, {"b": "p"}], {}]),
    }
)


@given(rule=_RULES, other=_LEAVES, target=_TARGETS, asker=_ASKERS)
def test_as_oslo_policy_has_it(
    rule: str, other: str, target: dict[str, Any], asker: dict[str, Any]
) -> None:
    other = "role:member" if other == "rule:other" else other
    texts = {"asked": rule, "other": other, "default": ""}
    reference = policy.Enforcer(
        cfg.ConfigOpts(), use_conf=False, rules=policy.Rules.from_dict(texts)
    )
    expected = bool(reference.enforce("asked", target, asker))
    assert compile_rules(texts)["asked"](target, asker) == expected


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("role:admin or", "not understood: look at its parentheses, and, or, not"),
        ("(role:admin", "not understood: look at its parentheses, and, or, not"),
        ("role:admin role:member", "not understood: look at its parentheses, and, or, not"),
        (" ", "not understood: look at its parentheses, and, or, not"),
        ("admin", "'admin' is no check such as role:admin"),
        ('"role:admin"', "'\"role:admin\"' is no check such as role:admin"),
        ("role:admin & role:member", "'&' is no check such as role:admin"),
        ("rule:nowhere", "there is no rule 'nowhere'"),
        ("not rule:asked", "goes round in circles by way of 'asked'"),
        ("http://policy.example/%(name)s", "http: rules are not asked of other services"),
        ("role:admin or https://policy.example", "https: rules are not asked of other services"),
        ("project_id:%(owner)d", "'%(owner)d': facts are put in as %(name)s"),
        ("project_id:100%", "'100%': facts are put in as %(name)s"),
        ("is:here", "'is' is neither a constant nor the name of a fact"),
    ],
)
def test_what_is_wrong_with_a_rule(rule: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rules({"sound": "", "asked": rule})
    assert (caught.value.rule, str(caught.value)) == ("asked", message)


def test_circles_are_found_from_afar() -> None:
    with pytest.raises(RuleError, match="goes round in circles by way of 'one'"):
        compile_rules({"one": "rule:two", "two": "rule:three or @", "three": "not rule:one"})

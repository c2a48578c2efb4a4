"""A region and the real Glance's own code decide alike."""

from itertools import product
from pathlib import Path
from typing import Final

import pytest

from meltemi.region.policy import Policy
from meltemi.region.protections import OPERATIONS, load_protections
from meltemi.region.rules import POLICIES, ROLES
from tests.region.deciding import TARGETS, ask_glance, contexts

pytestmark = pytest.mark.services

CHANGED: Final = """\
# An operator's.
"billing": "role:billing or (role:reader and not project_id:q)"
"context_is_admin": "role:admin and user_id:u"
"get_images": "rule:billing"
"get_image": "@"
"add_image": "!"
"modify_image": "'scsi':%(hw_disk_bus)s and (None:%(member_id)s or True:True)"
"delete_image": "is_admin_project:True or service_roles:service"
"upload_image": "project_id:%(owner)s AND NOT visibility:%(visibility)s"
"metadef_default": "role:%(visibility)s or roles:billing"
"get_task": "rule:default"
"""

ROLE_FILE: Final = """\
[^x_owner_.*]
create = admin,Member
read = admin, member, reader
update = admin
delete = !
[x_open]
create = @
read = @
update = service
delete =
[^x_.*]
create = billing
read = !, admin
update = @, admin
delete = service, nobody
"""

POLICY_FILE: Final = """\
[^x_owner_.*]
create = billing
read = get_images
update = context_is_admin
delete = !
[x_open]
create = @
read = @
update = service_api
delete =
"""

PROPERTIES: Final = (
    "x_owner_key",
    "x_open",
    "x_other",
    "ax_open",
    "plain",
    "os_glance_import_task",
)


def test_the_rules_are_the_same() -> None:
    asked = ask_glance()["rules"]
    assert {name: check for name, check, _, _ in asked} == {**ROLES, **POLICIES}
    assert {name for name, _, scopes, _ in asked if not scopes} == set(ROLES)
    assert {name for name, _, scopes, _ in asked if scopes == ["project"]} == set(POLICIES)
    assert [name for name, _, _, before in asked if before != name] == []


@pytest.mark.parametrize("text", ["", CHANGED], ids=["defaults", "changed"])
def test_the_decisions_are_the_same(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    asked = ask_glance(policy_file=file)
    policy = Policy(file)
    names = [name for name, *_ in asked["rules"]]
    cases = list(product(names, contexts(), TARGETS))
    ours = [policy.allows(context, name, target) for name, context, target in cases]
    differences = [
        (case, glance)
        for case, glance, own in zip(cases, asked["policies"], ours, strict=True)
        if glance != own
    ]
    assert differences == []
    assert [policy.is_admin(context) for context in contexts()] == asked["admins"]
    assert {True, False} == set(ours)


@pytest.mark.parametrize(
    ("text", "by"), [(ROLE_FILE, "roles"), (POLICY_FILE, "policies")], ids=["roles", "policies"]
)
def test_the_protections_are_the_same(tmp_path: Path, text: str, by: str) -> None:
    policy_file = tmp_path / "policy.yaml"
    policy_file.write_text(CHANGED)
    file = tmp_path / "protections.conf"
    file.write_text(text)
    asked = ask_glance(policy_file=policy_file, protections=file, format=by, properties=PROPERTIES)
    policy = Policy(policy_file)
    protections = load_protections(file, policy=policy if by == "policies" else None)
    cases = list(product(PROPERTIES, OPERATIONS, contexts()))
    ours = [protections.allows(context, operation, name) for name, operation, context in cases]
    differences = [
        (case, glance)
        for case, glance, own in zip(cases, asked["properties"], ours, strict=True)
        if glance != own
    ]
    assert differences == []
    assert {True, False} == set(ours)

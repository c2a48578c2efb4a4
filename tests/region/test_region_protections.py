"""Property protections: what a file allows, and what is wrong with one."""

from pathlib import Path

import pytest

from meltemi.errors import ConfigurationError
from meltemi.region.context import Context
from meltemi.region.policy import Policy
from meltemi.region.protections import Protections, load_protections

FILE = """\
[^secret_]
create = admin
read = admin
update = admin
delete = admin
[^fixed_]
create = @
read = @
update = !
delete =
[.*]
create = member
read = @
update = Member
delete = member
"""

MEMBER = Context(roles=frozenset({"member"}))
ADMIN = Context(roles=frozenset({"admin", "member"}))
SERVED = Context(roles=frozenset({"reader"}), service_roles=frozenset({"member"}))


def load(folder: Path, text: str, policy: Policy | None = None) -> Protections:
    file = folder / "protections.conf"
    file.write_text(text)
    return load_protections(file, policy=policy)


def test_what_is_hidden_from_whom(tmp_path: Path) -> None:
    protections = load(tmp_path, FILE)
    properties = {"secret_key": "1", "fixed_key": "2", "free": "3", "os_glance_x": "4"}
    assert protections.readable(ADMIN, properties) == properties
    assert list(protections.readable(MEMBER, properties)) == ["fixed_key", "free", "os_glance_x"]


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ({"free": "1", "fixed_key": "1"}, {"free": "2", "fixed_key": "1", "more": "1"}, None),
        ({"free": "1"}, {}, None),
        ({}, {"secret_key": "1"}, "secret_key"),
        ({}, {"fixed_key": "1"}, None),
        ({"fixed_key": "1"}, {"fixed_key": "2"}, "fixed_key"),
        ({"fixed_key": "1"}, {}, "fixed_key"),
    ],
)
def test_what_may_be_changed(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], refused: str | None
) -> None:
    assert load(tmp_path, FILE).refused(MEMBER, before, after) == refused


def test_a_service_that_passes_a_request_on_lends_its_roles(tmp_path: Path) -> None:
    assert load(tmp_path, FILE).refused(SERVED, {}, {"free": "1"}) is None


def test_a_property_that_no_section_fits_is_nobodys(tmp_path: Path) -> None:
    protections = load(tmp_path, FILE.replace("[.*]", "[^free_]"))
    assert not protections.allows(ADMIN, "read", "other")
    assert protections.allows(ADMIN, "read", "os_glance_x")
    assert not protections.allows(ADMIN, "read", "not_os_glance_x")


def test_a_policy_that_has_gone_allows_nothing(tmp_path: Path) -> None:
    rules = tmp_path / "policy.yaml"
    rules.write_text('owners: "role:member"')
    policy = Policy(rules)
    text = "[.*]\ncreate = owners\nread = owners\nupdate = owners\ndelete = owners\n"
    protections = load(tmp_path, text, policy)
    assert protections.allows(MEMBER, "read", "free")
    rules.write_text('others: "role:member or role:reader"')
    policy.refresh()
    assert not protections.allows(MEMBER, "read", "free")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[.*]", "[*]", "11: [*]: no regular expression: nothing to repeat at position 0"),
        ("update = !\n", "", "6: [^fixed_]: update is missing; '!' is nobody"),
        ("update = !", "update = !, @", "6: [^fixed_]: update: '@' is anybody and '!' nobody"),
        ("[.*]", "[^fixed_]", "11: [^fixed_] is there twice"),
        ("[^secret_]\n", "", "1: has to begin with a section such as [^x_owner_.*]"),
        ("read = admin", "read admin", "3: not understood; write: operation = names"),
        ("read = admin", "create = admin", "3: [^secret_]: create is there twice"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, FILE.replace(old, new, 1))
    assert str(caught.value).removeprefix(f"{tmp_path}/protections.conf:").startswith(message)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("get_image, get_images", "create: one policy only; combine several in the policy file"),
        ("get_imaage", "create: there is no policy 'get_imaage'"),
    ],
)
def test_what_is_wrong_with_a_file_of_policies(tmp_path: Path, names: str, message: str) -> None:
    text = f"\n[.*]\ncreate = {names}\nread = @\nupdate = @\ndelete = @\n"
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, Policy())
    assert str(caught.value).endswith(f":2: [.*]: {message}")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_protections(tmp_path / "nowhere")
    (tmp_path / "latin").write_bytes(b"[.*]\n# \xe9\n")
    with pytest.raises(ConfigurationError, match="not in UTF-8"):
        load_protections(tmp_path / "latin")
